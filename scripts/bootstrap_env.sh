#!/usr/bin/env bash
# Make or refresh the environment .venv from hashed locks; quick when nothing changed.
#
#   bootstrap_env.sh            make or refresh .venv
#   bootstrap_env.sh uv         print the path of a working uv, installing it into .tools if needed
#
# Reads: PYTHON  interpreter to use, 3.11 to 3.13 (default: the first that works, see below)
#        LOCK    "main" (default), "tpu", "torch-tpu", or "submit" (Snakemake alone, for jobs in
#                containers): which envs/<LOCK>.txt to install
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
venv=$root/.venv
stamp=$venv/robustvit-stamp
lock=${LOCK:-main}
locks=("$lock" dev)
[ "$lock" != submit ] || locks=(submit) # no models, so nothing that tests could test
# Another project's environment must not leak into this one.
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV UV_PYTHON UV_SYSTEM_PYTHON
# torch and its CUDA libraries are large; the usual 30 s are short for them on a slow line.
export UV_HTTP_TIMEOUT=${UV_HTTP_TIMEOUT:-300}

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

usable() { # does this command start, as a Python that the locks cover?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
        >/dev/null 2>&1
}

# The real interpreter behind a command: pyenv's shims and an active environment are seen through.
real_python() { "$1" -c 'import os, sys; print(os.path.realpath(sys.executable))'; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        usable "$PYTHON" || die "PYTHON=$PYTHON is no working Python 3.11, 3.12 or 3.13." \
            "Example: make env PYTHON=/usr/bin/python3.12"
        real_python "$PYTHON"
        return
    fi
    local name
    for name in python3.12 python3.11 python3.13 python3; do
        if usable "$name"; then
            real_python "$name"
            return
        fi
    done
    die "no Python 3.11, 3.12 or 3.13 was found (looked for python3.12, python3.11, python3.13," \
        "python3). Install one (Debian 12: apt-get install python3 python3-venv) or name yours:" \
        "make env PYTHON=/path/to/python3.12"
}

find_uv() { # $1: interpreter to bootstrap with
    local own=$root/.tools/uv/bin/uv candidate
    for candidate in uv "$own"; do
        if "$candidate" --version >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    say "Installing uv into .tools/uv"
    rm -rf "$root/.tools/uv"
    mkdir -p "$root/.tools"
    install_uv "$1" >&2 || die "uv could not be installed. Is there a network, or a package mirror" \
        "in pip's configuration? Or install uv yourself and put it on the PATH."
    printf '%s\n' "$own"
}

install_uv() {
    local options=(--quiet --require-hashes --disable-pip-version-check -r "$root/envs/uv.txt")
    if "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; then
        "$1" -m venv "$root/.tools/uv" && "$root/.tools/uv/bin/python" -m pip install "${options[@]}"
    elif "$1" -m pip --version >/dev/null 2>&1; then
        "$1" -m pip install --target "$root/.tools/uv" "${options[@]}"
    else
        die "$1 has neither the venv module nor pip. On Debian and Ubuntu:" \
            "apt-get install python3-venv (for another version, for instance, python3.12-venv)"
    fi
}

# What .venv was made from; also shows that its interpreter still works.
fingerprint() {
    "$venv/bin/python" -I -S - "$root" "${locks[@]}" <<'PYTHON'
import hashlib, os, sys
root, *locks = sys.argv[1:]
print("root", root)
print("python", os.path.realpath(sys.executable), sys.version.split()[0])
for name in locks:
    with open(f"{root}/envs/{name}.txt", "rb") as handle:
        print(name, hashlib.sha256(handle.read()).hexdigest())
PYTHON
}

check_lock() {
    [ -f "$root/envs/$lock.txt" ] ||
        die "LOCK=$lock: there is no envs/$lock.txt. Use LOCK=main, tpu, torch-tpu or submit"
}

is_current() {
    [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint 2>/dev/null)" ] || return 1
    [ -z "${PYTHON:-}" ] || { usable "$PYTHON" && grep -qF "python $(real_python "$PYTHON") " "$stamp"; }
}

# A moved checkout or another interpreter needs a new .venv: its programs hold absolute paths.
is_reusable() {
    [ -f "$venv/robustvit-origin" ] && [ "$(cat "$venv/robustvit-origin")" = "$root $1" ] &&
        "$venv/bin/python" -c '' 2>/dev/null
}

make_environment() {
    local python uv
    python=$(find_python)
    uv=$(find_uv "$python")
    rm -f "$stamp"
    if ! is_reusable "$python"; then
        local size="8 GB"
        [ "$lock" != submit ] || size="300 MB"
        say "Making .venv with $("$python" --version) (about $size on the disk; some minutes)"
        rm -rf "$venv"
        "$uv" venv --quiet --no-python-downloads --python "$python" "$venv"
        printf '%s\n' "$root $python" >"$venv/robustvit-origin"
    fi
    # Every job starts a Python: compiling once here saves seconds at each start, also where
    # PYTHONDONTWRITEBYTECODE is set.
    local quiet=() files=("${locks[@]/#/$root/envs/}")
    [ -t 2 ] || quiet=(--quiet) # a log needs no list of packages
    "$uv" pip sync ${quiet[@]+"${quiet[@]}"} --require-hashes --compile-bytecode --python "$venv/bin/python" \
        "${files[@]/%/.txt}" ||
        die "the packages could not be installed. Run the same command again to go on where it" \
            "stopped. Without a network: UV_OFFLINE=1 UV_FIND_LINKS=<folder of wheels> make env"
    # Snakemake finds the progress display (a logger plug-in) as a module on the path.
    printf '%s\n' "$root/scripts" >"$("$venv/bin/python" -c \
        'import sysconfig; print(sysconfig.get_path("purelib"))')/robustvit-scripts.pth"
    fingerprint >"$stamp"
    say "The environment .venv is ready. To use it by hand: source .venv/bin/activate"
}

case "${1:-env}" in
    env)
        check_lock
        is_current || make_environment
        ;;
    uv) find_uv "$(find_python)" ;;
    *) die "unknown argument $1. Use: bootstrap_env.sh [env|uv]" ;;
esac
