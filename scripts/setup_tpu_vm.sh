#!/usr/bin/env bash
# Make a TPU VM ready for the workflow: Python, its packages by the hashed lock, and the TPU itself.
# Run it in the checkout on every worker; what is there already is left as it is.
#
#   scripts/setup_tpu_vm.sh [--check]      --check only says what is missing
#
# Reads: LOCK    envs/<LOCK>.txt to install: tpu (default) or torch-tpu
#        PYTHON  interpreter, 3.11 or 3.12 (default: the first that is found)
#        WHEELS  folder of packages, for a VM without internet
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

lock=${LOCK:-tpu}
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

usable() { # libtpu has packages for these versions; torch_tpu needs 3.12
    "$1" -c "import sys, venv, ensurepip
sys.exit(sys.version_info[:2] not in {'tpu': ((3, 11), (3, 12)), 'torch-tpu': ((3, 12),)}['$lock'])" \
        >/dev/null 2>&1
}

find_python() {
    local name names=(python3.12 python3.11 python3)
    [ -z "${PYTHON:-}" ] || names=("$PYTHON")
    for name in "${names[@]}"; do
        if usable "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

# TPU VM images bring Python 3.10: the first package source that has a later one is taken.
install_python() {
    command -v apt-get >/dev/null || return 1
    local version
    # A new VM updates itself first and holds the lock for minutes.
    local apt=(apt-get -o DPkg::Lock::Timeout=600)
    as_root "${apt[@]}" update -qq || return 1
    for version in 3.12 3.11; do
        [ "$lock" = tpu ] || [ "$version" = 3.12 ] || continue
        if apt-cache show "python$version-venv" >/dev/null 2>&1; then
            as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y -qq \
                "python$version" "python$version-venv" && return
        fi
    done
    return 1
}

has_tpu() { compgen -G '/dev/accel*' >/dev/null || compgen -G '/dev/vfio/[0-9]*' >/dev/null; }

case "$lock" in tpu | torch-tpu) ;; *) die "LOCK=$lock: use tpu or torch-tpu" ;; esac
case "${1:-}" in
    --check)
        has_tpu || say "no TPU: neither /dev/accel* nor /dev/vfio/* is there"
        find_python >/dev/null || say "no Python for envs/$lock.txt"
        [ -f .venv/robustvit-stamp ] || say "no .venv yet"
        exit 0
        ;;
    "") ;;
    *) die "unknown argument $1. Use: scripts/setup_tpu_vm.sh [--check]" ;;
esac

if [ -z "${WHEELS:-}" ]; then
    find_python >/dev/null || install_python || true
fi
python=$(find_python) || die "no Python 3.11 or 3.12 with its venv module, and none could be" \
    "installed. Take a later image (runtime_version), or install one and name it:" \
    "PYTHON=/path/to/python3.12 scripts/setup_tpu_vm.sh"
if [ -n "${WHEELS:-}" ]; then
    [ -d "$WHEELS" ] || die "WHEELS=$WHEELS: no such folder"
    export PIP_NO_INDEX=1 PIP_FIND_LINKS=$WHEELS UV_OFFLINE=1 UV_FIND_LINKS=$WHEELS
fi
PYTHON=$python LOCK=$lock scripts/bootstrap_env.sh

has_tpu || say "warning: this machine shows no TPU (/dev/accel*, /dev/vfio/*)"
say "Ready: $("$python" --version), envs/$lock.txt in $PWD/.venv"
