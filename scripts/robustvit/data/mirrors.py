"""What `paths.mirror` may name: folders, `file:` addresses of folders, and buckets."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from robustvit.core.errors import UserError

BUCKETS = ("gs", "s3")
EXPECTED = "a folder, file:/data/archives, gs://bucket/folder or s3://bucket/folder"
SCHEME = re.compile(r"(file|[A-Za-z][A-Za-z0-9+.-]*(?=://)):")


def local_folders(mirrors: Iterable[str | Path]) -> list[Path]:
    """The entries that are folders of this machine, in their order.

    Raises:
        UserError: for an entry that cannot be understood.
    """
    found = ((str(entry), scheme_of(entry)) for entry in mirrors)
    return [
        _file_path(entry) if scheme else Path(entry)
        for entry, scheme in found
        if scheme in ("", "file")
    ]


def bucket_addresses(mirrors: Iterable[str | Path]) -> list[str]:
    """The entries that are buckets, in their order.

    Raises:
        UserError: for an entry that cannot be understood.
    """
    return [str(entry) for entry in mirrors if scheme_of(entry) in BUCKETS]


def scheme_of(entry: str | Path) -> str:
    """The scheme of an address ("gs", "s3", "file"), or "" for a folder.

    Raises:
        UserError: for another scheme, or an address without a bucket.
    """
    match = SCHEME.match(str(entry))
    if match is None:
        return ""
    scheme = match[1].lower()
    if scheme != "file" and scheme not in BUCKETS:
        raise UserError(f"paths.mirror: {entry} is not understood; expected {EXPECTED}.")
    if scheme != "file" and not urlsplit(str(entry)).netloc:
        raise UserError(f"paths.mirror: {entry} names no bucket; expected {EXPECTED}.")
    return scheme


def _file_path(address: str) -> Path:
    parts = urlsplit(address)
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise UserError(
            f"paths.mirror: {address} is not a folder of this machine; expected an absolute path, "
            "for instance file:///data/archives."
        )
    return Path(unquote(parts.path))
