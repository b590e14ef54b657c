#!/usr/bin/env bash
# Install the packages of the hashed lock into the conda environment that is active. Snakemake does it
# after it made the environment of conda.yaml (--software-deployment-method conda), you after `conda
# activate`; both in the root of the project.
set -euo pipefail

# The SHA-256 of envs/main.txt, which `make lock` writes: a change here is what tells Snakemake to make
# its environment anew.
lock=9aa20dc76e980bfa07f1328af8a547a77ee3767714138079aa2abb974c17a181

die() { printf 'error: %s\n' "$*" >&2; exit 1; }

[ -f envs/main.txt ] || die "there is no envs/main.txt here. Call this in the root of the project:" \
    "bash envs/conda.post-deploy.sh"
[ -x "${CONDA_PREFIX:-}/bin/python" ] ||
    die "no conda environment with a Python is active. First: conda activate robustvit"
[ "$(sha256sum <envs/main.txt)" = "$lock  -" ] ||
    die "envs/main.txt is not the lock that this script names. Run: make lock"

python=$CONDA_PREFIX/bin/python
uv=$(PYTHON=$python scripts/bootstrap_env.sh uv)
# --no-deps: the lock names all packages, and where it overrides what one of them asks for, that counts.
"$uv" pip install --no-deps --require-hashes --compile-bytecode --python "$python" \
    -r envs/main.txt -r envs/dev.txt
# Snakemake finds the progress display (a logger plug-in) as a module on the path.
printf '%s\n' "$PWD/scripts" >"$("$python" -c \
    'import sysconfig; print(sysconfig.get_path("purelib"))')/robustvit-scripts.pth"
