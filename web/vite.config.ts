import { fileURLToPath } from "node:url";
import tailwindcss from "@tailwindcss/vite";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { precompress } from "./tools/precompress.ts";

// The door that `npm run dev` and `npm run preview` talk to.
const gateway = process.env.CRYPTOVAULT_GATEWAY_URL ?? "http://127.0.0.1:18000";
// The Host header is passed on as it came: the gateway compares it with Origin before it takes cookies.
const proxy = Object.fromEntries(
  ["/api", "/dev", "/docs", "/health", "/ws"].map((path) => [path, { target: gateway, ws: path === "/ws" }]),
);

export default defineConfig({
  plugins: [react(), tailwindcss(), precompress()],
  resolve: { alias: { "@": fileURLToPath(new URL("./src", import.meta.url)) } },
  server: { proxy },
  preview: { proxy },
  build: {
    target: "es2023",
    // Inline assets would need `data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: true,
    reportCompressedSize: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          // What the named files share with the shell stays in the shell.
          includeDependenciesRecursively: false,
          // Few files: over HTTP/1.1 a browser fetches six at once, and each small one costs a phone a whole way there and back.
          groups: [
            // Kept by browsers from release to release.
            { name: "react", test: /node_modules\/(react|react-dom|scheduler)\// },
            // What runs beside every page, once it is there.
            {
              name: "live",
              test: /src\/(app\/LiveData|components\/layout\/(ConnectionChip|Footer|MemberMenu|ThemeSelect)|components\/ui\/[tT]oast|lib\/(live|stream|order-state|price-history|connection|back-off|refresh-session))/,
            },
            {
              name: "forms",
              test: /src\/(features\/auth\/(AuthCard|Countdown|SecondFactorForm|SignUpPage|SignInPage|VerifyPage|api|schemas|pending-email))|node_modules\/(react-hook-form|@hookform|zod)/,
            },
            {
              name: "page",
              test: /src\/(app\/MembersOnly|components\/(layout\/Page|ui\/(Card|Field|Notice|WideTable)|Money|PriceText|Change|DataView)|lib\/(decimal|format))|node_modules\/(big\.js|@tanstack\/.*\/(useMutation|mutationObserver)\.js)/,
            },
          ],
        },
      },
    },
  },
  test: {
    environment: "jsdom",
    // One page for all files: making one takes longer than all tests together.
    isolate: false,
    fileParallelism: false,
    include: ["tests/**/*.test.{ts,tsx}"],
    setupFiles: ["tests/setup.ts"],
    restoreMocks: true,
  },
});
