# syntax=docker/dockerfile:1
# The public door: nginx with the built web app (docker-compose.yml, deploy/nginx/nginx.conf).

# The same line of Node that set-up takes from the Python registry (docs/decisions/0020).
FROM node:24-bookworm-slim AS build
WORKDIR /build
# Others' packages first: they change seldom, so this layer is made again only with the lock file.
COPY web/package.json web/package-lock.json web/.npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY web/ ./
# The manifest is for the budget, not for the public.
RUN npm run build && rm -r dist/.vite

FROM nginx:1.28-alpine
COPY deploy/nginx/nginx.conf /etc/nginx/nginx.conf
COPY --from=build /build/dist /srv/web
# The image's own user of nginx, by number, so that Kubernetes can check that it is not root.
USER 101
EXPOSE 8080
# Without the entry point of the image, which rewrites a configuration that is read-only here.
ENTRYPOINT ["nginx", "-g", "daemon off;"]
