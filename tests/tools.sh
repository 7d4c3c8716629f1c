#!/usr/bin/env bash
# Gets what tests use beyond the platform's own servers, where it is missing and this system has it as a package.
set -euo pipefail
cd "$(dirname "$0")/.."
NGINX=.local/tools/nginx

as_root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }

has_nginx() { command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || [ -x "$NGINX/usr/sbin/nginx" ]; }

# Only unpacked: installed, it would begin to serve this machine's port 80.
unpack_nginx() {
    local folder
    folder=$(mktemp -d)
    (cd "$folder" && apt-get -qq download nginx >&2)
    rm -rf "$NGINX"
    mkdir -p "$NGINX"
    dpkg-deb --extract "$folder"/nginx_*.deb "$NGINX"
    rm -r "$folder"
    "$NGINX/usr/sbin/nginx" -v 2>/dev/null
}

command -v apt-get >/dev/null || exit 0
packages=()
command -v chromium >/dev/null || packages+=(chromium)
command -v curl >/dev/null || packages+=(curl) # types what the README shows
missing=("${packages[@]}")
has_nginx || missing+=(nginx)
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
echo "Installing ${missing[*]} ..." >&2
as_root apt-get -qq update >&2
has_nginx || unpack_nginx
if [ ${#packages[@]} -gt 0 ]; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "${packages[@]}" >&2
fi
