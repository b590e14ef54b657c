"""Files in buckets (`gs://`, `s3://`): whether they are there, and their bytes from any byte on.

The package obstore reads both kinds. Credentials are those that it finds by itself in the
environment, in application default credentials or from the machine it runs on.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from robustvit.core.errors import UserError
from robustvit.data.mirrors import scheme_of
from robustvit.data.transfer import ChangedError, Reading, transfer

if TYPE_CHECKING:
    from obstore.store import ObjectStore

BLOCK_BYTES = 16 << 20
RETRIES = {"max_retries": 2, "retry_timeout": timedelta(seconds=30)}
CLIENT = {
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=60),
    "allow_http": True,  # where AWS_ENDPOINT_URL says so
}
ATTEMPTS = re.compile(r" in [\d.]+\w+(, after [^-]*)? - ")
CREDENTIALS = {
    "gs": "`gcloud auth application-default login` or GOOGLE_APPLICATION_CREDENTIALS; "
    "GOOGLE_SKIP_SIGNATURE=true for a public bucket",
    "s3": "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION, and AWS_ENDPOINT_URL for a store "
    "of your own; AWS_SKIP_SIGNATURE=true for a public bucket",
}


@dataclass(frozen=True)
class RemoteFile:
    """One file of a bucket.

    Attributes:
        url: its address.
        size: in bytes.
        version: mark that changes with its content.
    """

    url: str
    size: int
    version: str
    store: ObjectStore = field(repr=False, compare=False)

    @contextlib.contextmanager
    def open(self, start: int, version: str | None) -> Iterator[Reading]:
        """Read from byte `start`, or from the first if the file is another than `version`."""
        begin = start if version == self.version else 0
        yield Reading(begin, self.size, self.version, self._blocks(begin))

    def _blocks(self, start: int) -> Iterator[bytes]:
        name = _name(self.url)
        for begin in range(start, self.size, BLOCK_BYTES):
            with explained(self.url, retry=True):
                end = min(begin + BLOCK_BYTES, self.size)
                yield bytes(self.store.get_range(name, start=begin, end=end))
        with explained(self.url, retry=True):
            if _version(self.store.head(name)) != self.version:
                raise ChangedError(f"{self.url}: it changed in the bucket while it was read")


def find_files(bucket: str, wanted: dict[str, tuple[str, ...]]) -> dict[str, RemoteFile] | None:
    """Look for one file of each role directly below the address `bucket`.

    Args:
        bucket: for instance "gs://my-bucket/archives/imagenet".
        wanted: role → accepted file names, the preferred one first.

    Returns:
        Role → file, or None if one of them is missing.

    Raises:
        UserError: without the package, the credentials or the rights.
    """
    found = {}
    for role, names in wanted.items():
        files = (find_file(f"{bucket.rstrip('/')}/{name}") for name in names)
        file = next((file for file in files if file is not None), None)
        if file is None:
            return None
        found[role] = file
    return found


def find_file(url: str) -> RemoteFile | None:
    """The file at an address such as "s3://bucket/folder/archive.tar", or None.

    Raises:
        UserError: without the package, the credentials or the rights.
    """
    with explained(url):
        store = _store(url.rsplit("/", 1)[0])
        try:
            status = store.head(_name(url))
        except FileNotFoundError:
            return None
    return RemoteFile(url, int(status["size"]), _version(status), store)


def _name(url: str) -> str:
    return url.rsplit("/", 1)[-1]


def _version(status: dict) -> str:
    return str(status.get("e_tag") or status.get("version") or status["last_modified"])


@cache
def _store(folder: str) -> ObjectStore:
    # Here: planning imports this module and must not need the package without a bucket.
    from obstore.store import from_url

    return from_url(folder, retry_config=RETRIES, client_options=CLIENT)


@contextlib.contextmanager
def explained(url: str, retry: bool = False) -> Iterator[None]:
    """Turn what goes wrong with a bucket into a `UserError` that names it and `paths.mirror`.

    Args:
        url: what is read.
        retry: raise `OSError` where another attempt may help, as for a broken connection.
    """
    try:
        from obstore import exceptions
    except ImportError as error:
        raise UserError(
            f"paths.mirror: {url} needs the Python package obstore, which is not installed. "
            "Install it with `make env`, or into an environment of your own with "
            "`pip install obstore`."
        ) from error
    try:
        yield
    except (exceptions.PermissionDeniedError, exceptions.UnauthenticatedError) as error:
        raise UserError(_refused(url, error)) from error
    except exceptions.BaseError as error:
        if retry:
            raise OSError(_first_line(error)) from error
        raise UserError(_refused(url, error)) from error


def _refused(url: str, error: Exception) -> str:
    return (
        f"paths.mirror: {url} cannot be read: {_first_line(error)}. Check the bucket's name and "
        f"that this account may read it ({CREDENTIALS[scheme_of(url)]})."
    )


def _first_line(error: Exception) -> str:
    """What happened, without times, counts of attempts and the library's data structures."""
    line = str(error).split("\n", 1)[0].rstrip(" :.")
    return ATTEMPTS.sub(": ", line)


def copy_files(files: Iterable[RemoteFile], folder: Path) -> list[Path]:
    """Copy files of a bucket into `folder`, going on where an earlier attempt stopped.

    A file that was copied before and has not changed in the bucket is left as it is.

    Raises:
        DownloadError: if a copy does not come to its end; what came of it is kept.
        UserError: without the rights, or if the disk has too little space.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return [transfer(file, folder / _name(file.url)) for file in files]
