#!/usr/bin/env bash
# Install the environment of a lock into an image: what Dockerfile and robustvit.def do while they
# build. The environment comes from bootstrap_env.sh, as with `make env`.
#
#   install.sh [LOCK]     "main" (default), "tpu" or "submit": which envs/<LOCK>.txt
#
# Runs as root, in a copy of envs/, containers/ and scripts/bootstrap_env.sh.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)

install_programs() { # what a Debian image lacks; another system has to bring these itself
    if python3 -c 'import ensurepip, venv' && git --version && make --version; then
        return
    fi >/dev/null 2>&1
    command -v apt-get >/dev/null || {
        echo "error: BASE has no apt-get and lacks git, make or python3 with venv." \
            "Use an image that has them, for instance BASE=debian:bookworm-slim" >&2
        exit 1
    }
    export DEBIAN_FRONTEND=noninteractive
    apt-get update
    apt-get install -y --no-install-recommends ca-certificates git make python3 python3-venv
    rm -rf /var/lib/apt/lists/*
}

install_programs
# The system's list of authorities, into which a site may have mounted its own; uv has another.
authorities=/etc/ssl/certs/ca-certificates.crt
[ ! -f "$authorities" ] || export SSL_CERT_FILE=${SSL_CERT_FILE:-$authorities}
# No cache of packages in the image: it would double its size.
LOCK=${1:-main} UV_NO_CACHE=1 PIP_NO_CACHE_DIR=1 "$root/scripts/bootstrap_env.sh"
# The code comes from the project that is mounted (environment.sh), not from here.
rm -rf "$root/.tools" "$root"/.venv/lib/python3*/site-packages/robustvit-scripts.pth
# The mounted project belongs to a user whom the container may not know.
git config --system --add safe.directory '*'
chmod -R a+rX "$root"
"$root/.venv/bin/snakemake" --version
