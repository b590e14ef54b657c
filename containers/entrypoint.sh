#!/bin/sh
# Run a command in the container's environment: entrypoint.sh snakemake --profile demo
set -eu
. /opt/robustvit/containers/environment.sh
exec "$@"
