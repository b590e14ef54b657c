"""Downloads with short time-outs, so that a machine without a network finds out soon."""

from __future__ import annotations

import contextlib
import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

from robustvit.data.transfer import DownloadError, Reading, transfer

__all__ = ["DownloadError", "download", "download_size"]

TIMEOUT_SECONDS = 15.0
BLOCK_BYTES = 1 << 20
PARTIAL_CONTENT = 206


@dataclass(frozen=True)
class WebFile:
    """A file behind an address (`https:`, or `file:`), read from any byte on where that goes."""

    url: str

    @contextlib.contextmanager
    def open(self, start: int, version: str | None) -> Iterator[Reading]:
        """Ask for the bytes from `start` on; the server starts at 0 if the file is another now."""
        request = urllib.request.Request(self.url)
        if start:
            request.add_header("Range", f"bytes={start}-")
            if version:
                request.add_header("If-Range", version)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            begin = start if response.status == PARTIAL_CONTENT else 0
            length = response.headers.get("Content-Length")
            total = begin + int(length) if length else None
            yield Reading(begin, total, _version(response), _blocks(response))


def _version(response: HTTPResponse) -> str | None:
    """A mark of the file's content; a weak ETag may not be used to go on (RFC 9110, 13.1.5)."""
    tag = response.headers.get("ETag")
    strong = tag if tag and not tag.startswith("W/") else None
    return strong or response.headers.get("Last-Modified")


def _blocks(response: HTTPResponse) -> Iterator[bytes]:
    while block := response.read(BLOCK_BYTES):
        yield block


def download(url: str, path: Path, *, digest: str, algorithm: str = "sha256") -> None:
    """Download `url` to `path` and check its digest; an interrupted download goes on the next time.

    A file that was downloaded and checked before is left as it is.

    Raises:
        DownloadError: without a network, on an HTTP error, or if the digest differs (nothing is
            left behind then).
        OSError: if the disk is full.
    """

    def check(partial: Path) -> None:
        with open(partial, "rb") as handle:
            found = hashlib.file_digest(handle, algorithm).hexdigest()
        if found != digest:
            raise DownloadError(f"{url}: its {algorithm} is {found}, expected {digest}")

    path.parent.mkdir(parents=True, exist_ok=True)
    transfer(WebFile(url), path, check)


def download_size(url: str, seconds: float) -> int | None:
    """Ask for the size of a file in bytes without its content; None if the server keeps it secret.

    Raises:
        DownloadError: if the address does not answer within `seconds`.
    """
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.urlopen(request, timeout=seconds) as response:
            length = response.headers.get("Content-Length")
    except OSError as error:
        raise DownloadError(f"{url}: {error}") from error
    return int(length) if length else None
