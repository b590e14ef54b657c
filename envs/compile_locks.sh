#!/usr/bin/env bash
# Compute the hashed locks from the *.in files, for Python 3.11 to 3.13 and every platform.
# Versions that a lock already has are kept; --upgrade takes newer ones.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")"
uv=$(../scripts/bootstrap_env.sh uv)

compile() { # $1: name of the lock; the rest goes to uv
    local name=$1
    shift
    # "fewest": one version of numpy and the like for all Pythons, so that results do not differ.
    "$uv" pip compile --quiet --universal --python-version "${python:-3.11}" --fork-strategy fewest \
        --generate-hashes \
        --custom-compile-command "make lock" "$@" "$name.in" -o "$name.txt"
    echo "envs/$name.txt: $(grep -c == "$name.txt") packages"
}

compile uv "$@"
compile main --override overrides.txt "$@"
# Snakemake makes its conda environment anew when this line changes.
sed -i "s/^lock=.*/lock=$(sha256sum main.txt | cut -d' ' -f1)/" conda.post-deploy.sh
compile dev "$@"
compile tpu --constraint main.txt --override overrides.txt "$@"
python=3.12 compile torch-tpu --constraint dev.txt --override torch-tpu-overrides.txt "$@"
compile bench-data "$@"
compile submit "$@"
# The names of RobustBench's models are read from its source; nothing of it runs there.
awk '/^[^ #]/ { wanted = /^robustbench==/ } wanted' main.txt >>submit.txt

# Addresses of one machine's package mirror must not travel with the project.
if grep -n '://' ./*.txt; then
    echo "error: a lock names an address (above): remove that package source and lock again" >&2
    exit 1
fi
