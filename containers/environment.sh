# The variables of a container, for /bin/sh; called from the root of the project. Apptainer's `exec`
# and `run` read this, Docker's entry point does.
PATH=/opt/robustvit/.venv/bin:$PATH
# The project's display and package, and nothing from the machine outside.
PYTHONPATH=$PWD/scripts
unset PYTHONHOME VIRTUAL_ENV
# A user number without a name and a home is usual (docker run --user); Snakemake, matplotlib and
# torch ask for both. Snakemake calls Apptainer with the project as home: caches do not belong there.
USER=${USER:-user$(id -u)}
if [ ! -w "${HOME:-/}" ] || [ "${HOME:-/}" = / ] || [ "$HOME" = "$PWD" ]; then
    HOME=${TMPDIR:-/tmp}/robustvit-home-$(id -u)
    mkdir -p -m 700 "$HOME"
    [ -O "$HOME" ] || HOME=$(mktemp -d) # somebody else's
fi
export PATH PYTHONPATH USER HOME
