"""Which results are of other settings than the configuration has now, as the report prints it."""

from __future__ import annotations

from robustvit.reporting.formatting import count, sentence_list

OTHER = "§"  # beside a result of other settings than the configuration has now
NAMED = 6  # files of a change that are named; more are counted
MOST = 30  # changes that are listed


def display_other_settings(changes: list[dict]) -> list[str]:
    """One text per change of settings: what was changed, and which results are of before it.

    Args:
        changes: "other_settings" of the run's summary.
    """
    shown = [f"{change['cause']} ({_files(change['files'])})" for change in changes[:MOST]]
    left = len(changes) - MOST
    return shown + [f"{count(left)} more changes, which summary.json names"] * (left > 0)


def _files(files: list[str]) -> str:
    named = files if len(files) <= NAMED + 1 else files[:NAMED]
    more = [f"{count(len(files) - len(named))} more"] if len(files) > len(named) else []
    return sentence_list([*named, *more])
