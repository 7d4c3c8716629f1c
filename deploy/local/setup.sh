#!/usr/bin/env bash
# Installs what the platform needs and this machine lacks: Redis, RabbitMQ, uv, the Python packages.
# Fast and silent when nothing is missing. Run by `make setup`, and so by every target that needs it.
set -euo pipefail
cd "$(dirname "$0")/../.."

UV_VERSION=0.13 # the lock file was written by it; an older one may not read it
TOOLS=.local/tools

say() { printf '%s\n' "$*" >&2; }

fail() {
    say "$@"
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "Not root, and there is no sudo. Ask an administrator for:" "    $*"
    fi
}

# apt_install PACKAGE...
apt_install() {
    say "Installing $* ..."
    # A fresh machine has no package lists yet, an old one has stale ones.
    as_root apt-get -qq update >&2
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends "$@" >&2
}

install_packages() {
    if command -v apt-get >/dev/null; then
        apt_install "$@"
    elif command -v brew >/dev/null; then
        fail "Please install: brew install redis rabbitmq"
    elif command -v dnf >/dev/null; then
        fail "Please install: sudo dnf install redis rabbitmq-server"
    elif command -v pacman >/dev/null; then
        fail "Please install: sudo pacman -S redis rabbitmq"
    else
        fail "Please install with your package manager: $*"
    fi
}

has_rabbitmq() {
    [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || command -v rabbitmq-server >/dev/null || [ -x /usr/sbin/rabbitmq-server ]
}

setup_servers() {
    local missing=()
    command -v redis-server >/dev/null || missing+=(redis-server)
    has_rabbitmq || missing+=(rabbitmq-server)
    if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}"; fi
}

# Prints the first interpreter that is new enough and not too new. A version manager's empty shim fails the question.
find_python() {
    local candidate
    for candidate in python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "Python 3.11, 3.12 or 3.13 is needed; found: $(python3 --version 2>&1 || true)"
}

# Prints the path of a uv that is new enough.
find_uv() {
    local candidate version
    for candidate in "$TOOLS/bin/uv" uv; do
        version=$("$candidate" --version 2>/dev/null | cut -d' ' -f2) || continue
        if [ "$(printf '%s\n%s\n' "$UV_VERSION" "$version" | sort -V | head -n 1)" = "$UV_VERSION" ]; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# Into an environment of its own: Debian's Python refuses `pip install --user`, and nothing outside this folder changes.
install_uv() {
    say "Installing uv ..."
    if ! "$1" -m venv --clear "$TOOLS" >/dev/null 2>&1; then
        command -v apt-get >/dev/null || fail "$1 cannot make virtual environments: its venv or ensurepip is missing"
        apt_install "python$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')-venv"
        "$1" -m venv --clear "$TOOLS"
    fi
    "$TOOLS/bin/python" -m pip install --quiet --disable-pip-version-check "uv~=$UV_VERSION.0"
}

setup_servers
uv=$(find_uv) || {
    install_uv "$(find_python)"
    uv=$TOOLS/bin/uv
}
if [ -x .venv/bin/python ]; then
    # With the interpreter it has: looking for one takes longer than all the rest.
    "$uv" sync --frozen --quiet --python .venv/bin/python
else
    say "Installing the Python packages ..."
    "$uv" sync --frozen --quiet --python "$(find_python)"
fi
# Built with the Node that came with the packages. Without it everything else runs, and the gateway serves the API alone.
web/tools/build.sh || say "The web app could not be built; everything else runs without it."
