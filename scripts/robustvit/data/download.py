"""Downloads with short time-outs, so that a machine without a network finds out soon."""

from __future__ import annotations

import csv
import errno
import hashlib
import http.client
import urllib.request
from pathlib import Path

from robustvit.core.files import atomic_path
from robustvit.core.progress import Progress
from robustvit.data.package_files import package_file

TIMEOUT_SECONDS = 15.0
NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class DownloadError(Exception):
    """A download that failed for a reason outside this machine's disk."""


def download(url: str, path: Path, *, digest: str, algorithm: str = "sha256") -> None:
    """Download `url` to `path` and check its digest; nothing is left behind if that fails.

    Raises:
        DownloadError: without a network, on an HTTP error, or if the digest differs.
        OSError: if the disk is full.
    """
    with atomic_path(path) as temporary:
        try:
            _stream(url, temporary)
        except (OSError, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in NO_SPACE:
                raise
            raise DownloadError(f"{url}: {error}") from error
        with open(temporary, "rb") as handle:
            found = hashlib.file_digest(handle, algorithm).hexdigest()
        if found != digest:
            raise DownloadError(f"{url}: its {algorithm} is {found}, expected {digest}")


def _stream(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response, open(path, "wb") as out:
        total = int(response.headers.get("Content-Length") or 0) / 1e6
        with Progress(total, "MB", f"download {url.rsplit('/', 1)[-1]}") as progress:
            while block := response.read(1 << 20):
                out.write(block)
                progress.update(round(out.tell() / 1e6, 1))


def official_downloads(source: str) -> dict[str, tuple[str, str]]:
    """The addresses that TFDS keeps for `source`: file name → (url, SHA-256)."""
    table = package_file("tensorflow_datasets", f"datasets/{source}/checksums.tsv")
    with open(table, encoding="utf-8", newline="") as handle:
        rows = [row for row in csv.reader(handle, delimiter="\t") if len(row) == 4]
    return {name: (url, digest) for url, _, digest, name in rows}
