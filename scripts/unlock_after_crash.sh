#!/usr/bin/env bash
# Remove Snakemake's lock on this folder if no Snakemake runs in it any more (a power cut, kill -9).
# Snakemake itself cannot tell a crash from a second run beside the first.
#
# A folder on a shared file system may be locked by a run on another machine, which cannot be seen
# from here. So each start by this script is recorded with its host, and only a lock made right
# after such a record of this host is removed. Nothing is started beside programs that a killed
# Snakemake left running: they still write.
set -euo pipefail

locks=.snakemake/locks
record=.snakemake/robustvit-host
planning=600 # seconds from the record to Snakemake's lock: the plan is made in between
host=$(uname -n)
running=() orphans=() told=()

is_locked() { [ -n "$(ls -A "$locks" 2>/dev/null)" ]; }

fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# Sort the processes that work in this folder; other users' cannot be looked at and do not count.
look_for_processes() {
    local process words
    for process in /proc/[0-9]*; do
        [ "$process/cwd" -ef . ] 2>/dev/null || continue
        words=()
        { mapfile -d '' -t words <"$process/cmdline"; } 2>/dev/null || continue
        # Only a program called snakemake, not an editor that has such a file open.
        if printf '%s\n' "${words[@]:0:3}" | grep -qE '(^|/)snakemake$'; then
            running+=("${process#/proc/}")
        elif [[ ${words[0]:-} =~ (^|/)python[0-9.]*$ ]] &&
            printf '%s\n' "${words[@]:1:3}" | grep -qE '(^|/)scripts/[a-z_]+\.py$'; then
            orphans+=("${process#/proc/}")
            told+=("  process ${process#/proc/}: ${words[*]:0:4}")
        fi
    done
}

# Whether the lock was made here, as far as the record goes; without one only /proc can be asked.
is_own_lock() {
    [ -s "$record" ] || return 0
    [ "$(<"$record")" = "$host" ] || return 1
    [ $(($(stat -c %Y "$locks") - $(stat -c %Y "$record"))) -le "$planning" ]
}

if [ -d /proc/self ]; then # without /proc nobody can tell; Snakemake will name the lock
    look_for_processes
    [ ${#running[@]} -eq 0 ] || exit 0 # it is running: its lock is right
    [ ${#orphans[@]} -eq 0 ] ||
        fail "Programs of an earlier run are still at work in this folder:" \
            "${told[@]:0:20}" \
            "Wait until they have finished, or end them with: kill ${orphans[*]}" \
            "Then start again: the work goes on where it stopped."
    if is_locked; then
        is_own_lock ||
            fail "This folder is locked by a run that \`make\` on this machine ($host) did not start;" \
                "the last start that is recorded was on $(<"$record"). If no Snakemake works in this" \
                "folder any more, on any machine: .venv/bin/snakemake --unlock"
        rm -rf "$locks"
        echo "The last run ended without cleaning up; going on where it stopped." >&2
    fi
fi
is_locked || { mkdir -p .snakemake && echo "$host" >"$record"; }
