#!/usr/bin/env bash
# All checks of the project, in one command: ./test.sh
#
# Installs what is missing (by apt as root, and tools of the tests into a folder of the user's cache), builds, lints, and
# runs every test against real servers. Each step is printed before it runs, and a step that fails is named.
set -euo pipefail
cd "$(dirname "$0")"

step_name='the start'
step() {
    step_name=$1
    printf '\n== %s\n' "$step_name"
}
trap 'code=$?; [ "$code" -eq 0 ] || printf "\n== FAILED: %s (exit %s)\n" "$step_name" "$code" >&2' EXIT

has() { command -v "$1" >/dev/null 2>&1; }

# install <package>...: by apt, where we may.
install() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if ! has sudo; then
            echo "This is neither root nor is there sudo: install $* and try again." >&2
            return 1
        fi
        as_root=(sudo)
    fi
    if ! has apt-get; then
        echo "There is no apt-get to install it with: install $* and try again." >&2
        return 1
    fi
    "${as_root[@]}" apt-get update
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

# need <program> <package>...: makes sure that a program is there.
need() {
    local program=$1
    shift
    if has "$program"; then return; fi
    echo "$program is missing."
    install "$@"
    has "$program" || { echo "$program is still missing after installing $*." >&2; return 1; }
}

step 'the tools: cargo, a C compiler, make, node, npm'
if ! has cargo && [ -f "${CARGO_HOME:-$HOME/.cargo}/env" ]; then
    # shellcheck source=/dev/null
    . "${CARGO_HOME:-$HOME/.cargo}/env"
fi
has cargo || { echo 'cargo is missing: install Rust (https://rustup.rs) and try again.' >&2; exit 1; }
cargo --version
for component in fmt clippy; do
    cargo "$component" --version || { echo "cargo $component is missing: rustup component add rustfmt clippy" >&2; exit 1; }
done
has cc || need cc build-essential
need make make
need node nodejs npm
need npm npm
if [ "$(node --print 'const [major, minor] = process.versions.node.split("."); +major * 100 + +minor >= 2019')" != true ]; then
    echo "node $(node --version) is too old: mongoose and the test runner need 20.19 or later." >&2
    exit 1
fi

# A program of its own, never linked: a server that speaks MongoDB's protocol, which the tests kill and start again.
# The version is the one in tests/servers/src/mongo.rs.
tools=${CHAT_TEST_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/chat-tests}
mkdir -p "$tools"
tools=$(cd "$tools" && pwd)
export CHAT_TEST_TOOLS=$tools
secantus=0.5.3-beta.196
step "the MongoDB server of the tests: secantus-mdb $secantus (minutes, once)"
if [ -x "$tools/secantus-mdb-$secantus/bin/secantusd-rs" ]; then
    echo "It is in $tools."
else
    has c++ || need c++ build-essential
    need cmake cmake
    # From outside the repository, whose settings are not for this; it declares a newer Rust than it needs.
    (
        cd "$tools"
        env -u CARGO_TARGET_DIR -u CARGO_BUILD_TARGET_DIR -u RUSTFLAGS -u RUSTUP_TOOLCHAIN \
            cargo install secantus-mdb --version "=$secantus" --locked --ignore-rust-version \
            --root "$tools/secantus-mdb-$secantus"
    )
fi

step 'the browser of the tests'
need chromium chromium fonts-liberation
chromium --version

step 'the JavaScript programs of the tests'
npm ci --prefix tests/js --no-audit --no-fund

step 'the Python programs of the tests'
need python3 python3 python3-venv
# Debian has these in a package of their own.
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    install python3-venv
fi
if cmp --quiet tests/python/requirements.txt "$tools/python/requirements.txt"; then
    echo "They are in $tools."
else
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "$(python3 --version) is too old: schemathesis needs 3.11 or later." >&2; exit 1; }
    [ -x "$tools/python/bin/python3" ] || python3 -m venv --clear "$tools/python"
    "$tools/python/bin/python3" -m pip install --quiet --disable-pip-version-check \
        --requirement tests/python/requirements.txt
    # The last thing, so that what was broken off is done again.
    cp tests/python/requirements.txt "$tools/python/requirements.txt"
fi

step 'the Rust client of the tests'
need pkg-config pkg-config
pkg-config --exists openssl || install libssl-dev
cargo build --locked --manifest-path tests/rust-client/Cargo.toml --target-dir "$tools/rust-client"

step 'format'
cargo fmt --all --check

step 'lints'
cargo clippy --workspace --all-targets --all-features -- -D warnings
cargo clippy --workspace --all-targets -- -D warnings

for features in '' sqlite mongodb foreign-text http socketio conformance cloudinary resend arcjet disposable-emails; do
    step "chat-core with ${features:-no feature} alone"
    cargo check --package chat-core --no-default-features --features "$features"
done
for adapter in chat-axum chat-warp; do
    for features in '' socketio websocket; do
        step "$adapter with ${features:-no feature} alone"
        cargo check --package "$adapter" --no-default-features --features "$features"
    done
done
step 'chat-core with all features'
cargo check --package chat-core --all-features

step 'the documentation'
RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features

step 'the benchmarks compile'
cargo check --workspace --benches --all-features

step 'tests'
cargo test --workspace --all-features --no-fail-fast

step "Autobahn's cases against the WebSocket"
KOSOKU=$tools/python/bin/kosoku cargo test --package chat-core --all-features --lib autobahn -- --ignored

# They mount file systems of their own, to fill them and to make them read-only.
if [ "$(id -u)" -eq 0 ]; then
    step 'tests that need root'
    cargo test --package chat-core --all-features --test sqlite -- --ignored
else
    step 'tests that need root: NOT RUN, because this is not root'
fi

step 'the library crates package'
cargo package --allow-dirty --no-verify --package chat-core --package chat-axum --package chat-warp

step 'all is well'
