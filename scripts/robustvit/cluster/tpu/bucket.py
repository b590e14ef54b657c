"""The bucket through which a controller and its TPU VMs exchange files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

from robustvit.cluster.tpu.task import FOLDER_SIGN
from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path
from robustvit.data.buckets import ATTEMPTS, CREDENTIALS

COMPLETE = ".complete"  # written last into a folder's copy
OPTIONS = {
    "retry_config": {"max_retries": 5, "retry_timeout": timedelta(minutes=3)},
    "client_options": {"allow_http": True, "timeout": timedelta(minutes=30)},
}


class Absent(UserError):
    """A file, or the bucket itself, is not there."""


class Bucket:
    """Files below one address.

    Args:
        url: "gs://…", "s3://…" or "file:///…"; credentials are those that the environment or the
            machine offers.
    """

    def __init__(self, url: str) -> None:
        # Here: a plan without a bucket must not need the package.
        from obstore.store import from_url

        self.url = url.rstrip("/")
        with self._explained("opened"):
            extra = {"mkdir": True} if url.startswith("file://") else OPTIONS
            self._store = from_url(self.url, **extra)

    def put(self, key: str, content: Path | bytes) -> None:
        """Write a file; readers see the old or the new one, never a part.

        Raises:
            UserError: naming the key `bucket` if it is missing or may not be written to.
            FileNotFoundError: if `content` is a path and that file is gone.
        """
        with contextlib.ExitStack() as stack:
            # Opened here: a file of this machine that is gone is no fault of the bucket's.
            if isinstance(content, Path):
                content = stack.enter_context(open(content, "rb"))
            with self._explained(f"written to ({key})"):
                self._store.put(key, content)

    def get(self, key: str) -> bytes | None:
        """A file's content; None if there is none."""
        with self._explained(f"read ({key})"):
            try:
                return bytes(self._store.get(key).bytes())
            except FileNotFoundError:
                return None

    def download(self, key: str, path: Path) -> None:
        """Copy a file to the disk, whole or not at all.

        Raises:
            Absent: if it is not there.
            UserError: naming the key `bucket`.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained(f"read ({key})"), atomic_path(path) as part, open(part, "wb") as file:
            for block in self._store.get(key).stream():
                file.write(block)

    def names(self, prefix: str) -> list[str]:
        """Names of all files below a prefix, in order."""
        with self._explained("listed"):
            found = [entry["path"] for chunk in self._store.list(f"{prefix}/") for entry in chunk]
        return sorted(found)

    def delete(self, names: Iterable[str]) -> None:
        """Remove files; those that are not there are passed over."""
        for name in names:
            with self._explained("written to"), contextlib.suppress(FileNotFoundError):
                self._store.delete(name)

    def has_folder(self, prefix: str) -> bool:
        """Whether a folder was copied here to its end."""
        return self.has(f"{prefix}/{COMPLETE}")

    def put_folder(self, prefix: str, folder: Path) -> None:
        """Copy a folder, hidden files left out; what is there already is not copied again."""
        if self.has_folder(prefix):
            return
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder)
            if not any(part.startswith(".") for part in name.parts):
                self.put(f"{prefix}/{name}", path)
        self.put(f"{prefix}/{COMPLETE}", b"")

    def put_input(self, name: str, path: Path) -> None:
        """Copy an input of a task, or the data set that its manifest.json stands for."""
        if path.name == FOLDER_SIGN:
            self.put_folder(name, path.parent)
        elif not self.has(name):
            self.put(name, path)

    def get_input(self, name: str, path: Path) -> None:
        """Copy an input of a task to the disk."""
        if path.name == FOLDER_SIGN:
            self.get_folder(name, path.parent)
        else:
            self.download(name, path)

    def has(self, key: str) -> bool:
        """Whether there is such a file."""
        with self._explained(f"read ({key})"):
            try:
                self._store.head(key)
            except FileNotFoundError:
                return False
        return True

    def get_folder(self, prefix: str, folder: Path) -> None:
        """Copy a folder to the disk; a copy of the same content is left as it is."""
        stamp = folder / ".from-bucket"
        if stamp.is_file() and stamp.read_text(encoding="utf-8") == prefix:
            return
        for name in self.names(prefix):
            relative = name.removeprefix(f"{prefix}/")
            if relative != COMPLETE:
                self.download(name, folder / relative)
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.write_text(prefix, encoding="utf-8")

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        from obstore import exceptions

        try:
            yield
        except FileNotFoundError as error:
            missing = f"cannot be {what}: the bucket or the file does not exist"
            raise self._error(missing, Absent) from error
        except (exceptions.BaseError, ValueError, OSError) as error:
            line = ATTEMPTS.sub(": ", str(error).split("\n", 1)[0])
            raise self._error(f"cannot be {what}: {line}") from error

    def _error(self, what: str, kind: type[UserError] = UserError) -> UserError:
        scheme = self.url.split(":")[0]
        hint = f" ({CREDENTIALS[scheme]})" if scheme in CREDENTIALS else ""
        return kind(
            f"bucket: {self.url} {what}. Check that it exists (gcloud storage buckets create) and "
            f"that this account may write to it, and the TPU VMs' service account too{hint}."
        )


def check_bucket(url: str) -> None:
    """Write, read and remove a small file.

    Raises:
        UserError: naming the key `bucket`.
    """
    bucket, key = Bucket(url), "check/hello"
    bucket.put(key, b"hello")
    if bucket.get(key) != b"hello":
        raise UserError(f"bucket: {url}: what was written cannot be read back.")
    bucket.delete([key])
