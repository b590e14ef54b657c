"""Which results are of other settings than the configuration has now, as the report prints it."""

from __future__ import annotations

from robustvit.reporting.formatting import count, sentence_list

NAMED = 6  # files of a change that are named; more are counted


def display_other_settings(changes: list[dict]) -> list[str]:
    """One text per change of settings: what was changed, and which results are of before.

    Args:
        changes: "other_settings" of the run's summary.
    """
    return [f"{change['cause']} ({_files(change['files'])})" for change in changes]


def _files(files: list[str]) -> str:
    named = files if len(files) <= NAMED + 1 else files[:NAMED]
    more = [f"{count(len(files) - len(named))} more"] if len(files) > len(named) else []
    return sentence_list([*named, *more])
