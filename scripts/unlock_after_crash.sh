#!/usr/bin/env bash
# Remove Snakemake's lock on this folder if no Snakemake runs in it any more (a power cut, kill -9).
# Snakemake itself cannot tell a crash from a second run beside the first.
set -euo pipefail

locks=.snakemake/locks
[ -n "$(ls -A "$locks" 2>/dev/null)" ] || exit 0
[ -d /proc/self ] || exit 0 # without /proc nobody can tell; Snakemake will name the lock

here=$(pwd -P)
for process in /proc/[0-9]*; do
    [ "$(readlink "$process/cwd" 2>/dev/null)" = "$here" ] || continue
    # Only a program called snakemake, not an editor that has such a file open.
    if tr '\0' '\n' <"$process/cmdline" 2>/dev/null | head -n 3 |
        grep -qE '(^|/)snakemake$'; then
        exit 0 # it is running: its lock is right
    fi
done
rm -rf "$locks"
echo "The last run ended without cleaning up; going on where it stopped." >&2
