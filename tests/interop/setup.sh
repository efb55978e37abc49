#!/bin/sh
# Installs the clients and the registry of other makes that the interoperability tests run, once per change of a lock file, and
# builds the agents of other languages into agents/ below, once per change of their source or of the contract.
# Prints the directory they are in on stdout and everything else on stderr.
set -eu

source=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$source/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
mkdir -p "$target/interop"
directory=$(cd "$target/interop" && pwd)

missing() {
    echo "tests/interop/setup.sh: $1" >&2
    exit 1
}

# Prints a name for the contents of the files given: what is installed carries the name of what it was installed from.
stamp_of() {
    cat "$@" | cksum | tr ' ' '-'
}

# Succeeds if $1 was installed from what is called $2.
is_installed() {
    [ "$(cat "$1/stamp" 2>/dev/null)" = "$2" ]
}

install_node_packages() {
    command -v npm >/dev/null || missing "npm is missing; on Debian: apt-get install nodejs npm"
    echo "installing the TypeScript clients and the conformance suite" >&2
    mkdir -p "$directory/node"
    rm -f "$directory/node/stamp"
    cp "$source/package.json" "$source/package-lock.json" "$directory/node/"
    # No package needs its install script, so none runs. The engine warnings speak of the system's Node; it only
    # installs, and the Node 22 that the lock file brings runs what was installed.
    (cd "$directory/node" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >&2) ||
        missing "npm ci failed; see its message above"
    link_node
    echo "$1" >"$directory/node/stamp"
}

# Puts Node 22 at node/bin/node: the locked package's, or on a platform without one the system's own.
link_node() {
    mkdir -p "$directory/node/bin"
    for packaged in "$directory"/node/node_modules/node-*/bin/node; do
        if [ -x "$packaged" ] && "$packaged" --version >&2; then
            ln -sf "$packaged" "$directory/node/bin/node"
            return
        fi
    done
    major=$(node --version 2>/dev/null | sed 's/^v\([0-9]*\).*/\1/')
    [ "${major:-0}" -ge 22 ] || missing "no Node 22 is packaged for $(uname -sm); install Node 22 or newer"
    ln -sf "$(command -v node)" "$directory/node/bin/node"
}

install_python_packages() {
    command -v python3 >/dev/null || missing "python3 is missing; on Debian: apt-get install python3 python3-venv"
    echo "installing the Python clients" >&2
    rm -rf "$directory/venv"
    python3 -m venv "$directory/venv" >&2 ||
        missing "python3 cannot make a virtual environment; on Debian: apt-get install python3-venv"
    "$directory/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps \
        --requirement "$source/requirements.txt" >&2 || missing "pip failed; see its message above"
    echo "$1" >"$directory/venv/stamp"
}

# Takes docker-registry/usr/bin/docker-registry out of Debian's package: it needs nothing else of it, and no root to run.
install_registry() {
    registry=$directory/docker-registry
    rm -rf "$registry"
    mkdir -p "$registry/usr/bin"
    if command -v apt-get >/dev/null && command -v dpkg >/dev/null; then
        echo "installing Debian's docker-registry" >&2
        (cd "$registry" && download && dpkg -x docker-registry_*.deb . && rm docker-registry_*.deb) ||
            missing "the package docker-registry cannot be downloaded; see apt-get's message above"
    else
        installed=$(command -v docker-registry) ||
            missing "docker-registry is missing; on Debian it is taken from the package of that name, elsewhere install it"
        ln -s "$installed" "$registry/usr/bin/"
    fi
    echo "$1" >"$registry/stamp"
}

# Downloads the package into this directory.
download() {
    apt-get --quiet download docker-registry >&2 && return
    # The machine has no lists of packages, or old ones. Lists of our own can be had without being root.
    echo "fetching lists of Debian's packages" >&2
    own=$(mktemp -d) && mkdir -p "$own/lists/partial" "$own/cache/archives/partial"
    set -- --quiet -o "Dir::State::lists=$own/lists" -o "Dir::Cache=$own/cache"
    { apt-get "$@" update && apt-get "$@" download docker-registry; } >&2 || set -- failed
    rm -rf "$own"
    [ "$1" != failed ]
}

# Builds the agents in Python and JavaScript with what was just installed; both compilers bring a whole interpreter.
build_agents() {
    echo "building agents in Python and JavaScript" >&2
    agents=$directory/agents
    rm -rf "$agents"
    mkdir -p "$agents/wit/deps/agent"
    cp "$root"/wit/*.wit "$agents/wit/deps/agent/"
    cp "$source/agents/greeter.wit" "$agents/wit/"
    cp "$source/agents/greeter.py" "$source/agents/greeter.mjs" "$agents/"
    (cd "$agents" && "$directory/venv/bin/componentize-py" --quiet --wit-path wit --world greeter \
        componentize greeter --output greeter-py.wasm >&2) || missing "componentize-py failed; see its message above"
    # Its HTTP client imports what no host of the contract offers.
    (cd "$agents" && "$directory/node/bin/node" \
        "$directory/node/node_modules/@bytecodealliance/componentize-js/src/cli.js" greeter.mjs \
        --wit wit --world-name greeter --disable http fetch-event --out greeter-js.wasm >&2) ||
        missing "componentize-js failed; see its message above"
    echo "$1" >"$agents/stamp"
}

# Tests start this script side by side; the first does the work.
exec 9>"$directory/lock"
if command -v flock >/dev/null; then
    flock 9
fi

node_stamp=$(stamp_of "$source/package.json" "$source/package-lock.json" "$0")
is_installed "$directory/node" "$node_stamp" || install_node_packages "$node_stamp"
python_stamp=$(stamp_of "$source/requirements.txt" "$0")
is_installed "$directory/venv" "$python_stamp" || install_python_packages "$python_stamp"
registry_stamp=$(stamp_of "$0")
is_installed "$directory/docker-registry" "$registry_stamp" || install_registry "$registry_stamp"

agents_stamp=$node_stamp,$python_stamp,$(stamp_of "$source"/agents/* "$root"/wit/*.wit)
is_installed "$directory/agents" "$agents_stamp" || build_agents "$agents_stamp"

# A module finds its packages from where it stands, so the scripts stand beside them.
for script in "$source"/*.mjs "$source"/*.py; do
    installed=$directory/node/$(basename "$script")
    cmp -s "$script" "$installed" || cp "$script" "$installed"
done
echo "$directory"
