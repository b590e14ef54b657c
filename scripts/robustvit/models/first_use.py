"""Trust on first use: the hash of a file for which nobody published one.

The first import writes the hash down, where neither a rerun nor another run of the workflow removes
it; later imports are held to it. The report says which hashes were published and which are only
known from a first use.
"""

from __future__ import annotations

import datetime
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import read_json, write_json


def hold_to_record(record: str | Path, url: str, found: str) -> dict:
    """Compare `found` with what `record` says of `url`, or write it down if it says nothing.

    Args:
        record: JSON file of this checkpoint.
        url: where the bytes come from; another address has another hash.
        found: SHA-256 of the bytes.

    Returns:
        {"url", "sha256", "first_used"}: the record as it is now.

    Raises:
        UserError: if the bytes are others than on first use.
    """
    record = Path(record)
    known = read_json(record) if record.exists() else {}
    if known.get("url") != url:
        today = datetime.datetime.now(datetime.UTC).date().isoformat()
        known = {"url": url, "sha256": found, "first_used": today}
        write_json(record, known)
    if known["sha256"] != found:
        raise UserError(
            f"checkpoint {url} has SHA-256 {found}, but had {known['sha256']} when it was first "
            f"used on {known['first_used']}: the file is damaged or another one. If the new one is "
            f"meant, delete {record}, or write its hash into the configuration as `sha256`."
        )
    return known
