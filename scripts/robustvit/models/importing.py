"""Taking weights of others: from a file, a Python package or an address, checked by a hash."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.core.files import sha256

EXAMPLE = '"mirror:xcit_s12_imagenet_eps4.pth.tar" or "file:/data/weights.safetensors"'
FOLDER = "checkpoints"
TIMEOUT_SECONDS = 60


@contextlib.contextmanager
def checkpoint_file(
    url: str, expected_sha256: str | None, mirrors: Iterable[str] = ()
) -> Iterator[Path]:
    """Yield a local file with the bytes that `url` names.

    Args:
        url: "mirror:<file>", "package:<package>/<path in it>", "file:<path>" or an https address,
            which is only asked if no mirror holds a file of its last part's name.
        expected_sha256: 64 hexadecimal digits, or None to skip the check.
        mirrors: folders that are searched, and their subfolder `checkpoints` before them.

    Raises:
        UserError: if there is no such file, or its hash is another one.
    """
    scheme, _, rest = url.partition(":")
    with contextlib.ExitStack() as stack:
        found = _find_in_mirrors(Path(rest).name, mirrors)
        if scheme in ("mirror", "https") and found is not None:
            path = found
        elif scheme == "mirror":
            raise UserError(
                f"checkpoint {url}: {rest} is in none of the folders of `paths.mirror` "
                f"({', '.join(mirrors) or 'none'}). Download it (`origin` in the configuration "
                f"says where) and put it into mirror/{FOLDER}/ under this name."
            )
        elif scheme == "package":
            path = _package_file(rest)
        elif scheme == "file":
            path = Path(rest)
        elif scheme == "https":
            path = stack.enter_context(_download(url))
        else:
            raise UserError(f"checkpoints.…url: {url!r} is not understood; expected {EXAMPLE}")
        if not path.is_file():
            raise UserError(f"checkpoint {url}: there is no file {path}")
        _check_hash(path, url, expected_sha256)
        yield path


def _find_in_mirrors(name: str, mirrors: Iterable[str]) -> Path | None:
    places = (
        folder / name for mirror in mirrors for folder in (Path(mirror) / FOLDER, Path(mirror))
    )
    return next((path for path in places if path.is_file()), None)


def _package_file(name: str) -> Path:
    package, _, inside = name.partition("/")
    found = importlib.util.find_spec(package) if package else None
    if found is None or not found.submodule_search_locations:
        raise UserError(f'checkpoint: package "{package}" is not installed; expected {EXAMPLE}')
    return Path(found.submodule_search_locations[0]) / inside


@contextlib.contextmanager
def _download(url: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(url).name or "checkpoint")
        try:
            with (
                urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as source,
                open(path, "wb") as target,
            ):
                shutil.copyfileobj(source, target)
        except urllib.error.URLError as error:
            raise UserError(
                f"checkpoint {url} could not be downloaded ({error.reason}). Without a network, "
                'fetch it elsewhere and give its path as "file:<path>".'
            ) from error
        yield path


def _check_hash(path: Path, url: str, expected: str | None) -> None:
    found = sha256(path)
    if expected is not None and found != expected.lower():
        raise UserError(
            f"checkpoint {url} has SHA-256 {found}, expected {expected}: the file is damaged or "
            "another one"
        )
