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
from robustvit.data.mirrors import local_folders

EXAMPLE = '"mirror:xcit_s12_imagenet_eps4.pth.tar" or "file:/data/weights.safetensors"'
FOLDER = "checkpoints"
TIMEOUT_SECONDS = 60


@contextlib.contextmanager
def checkpoint_file(
    url: str, expected_sha256: str | None, mirrors: Iterable[str] = ()
) -> Iterator[Path]:
    """Yield a local file with the bytes that `url` names.

    Args:
        url: "mirror:<file>", "package:<package>/<path in it>", "file:<path>", "timm:<model>" or an
            https address; the last two are only downloaded if no mirror holds the file.
        expected_sha256: 64 hexadecimal digits, or None to skip the check.
        mirrors: folders that are searched, and their subfolder `checkpoints` before them.

    Raises:
        UserError: if there is no such file, or its hash is another one.
    """
    scheme, _, rest = url.partition(":")
    with contextlib.ExitStack() as stack:
        found = find_in_mirrors(Path(rest).name, mirrors)
        if scheme in ("mirror", "https") and found is not None:
            path = found
        elif scheme == "mirror":
            raise UserError(
                f"checkpoint {url}: {rest} is {in_mirrors(mirrors)}. Download it (`origin` in the "
                f"configuration says where) and put it into mirror/{FOLDER}/ under this name."
            )
        elif scheme == "package":
            path = _package_file(rest)
        elif scheme == "file":
            path = Path(rest)
        elif scheme == "timm":
            path = _timm_file(rest, mirrors)
        elif scheme == "https":
            path = stack.enter_context(_download(url))
        else:
            raise UserError(f"checkpoints.…url: {url!r} is not understood; expected {EXAMPLE}")
        if not path.is_file():
            raise UserError(f"checkpoint {url}: there is no file {path}")
        check_hash(sha256(path), url, expected_sha256)
        yield path


def find_in_mirrors(name: str, mirrors: Iterable[str]) -> Path | None:
    """Return the first file of this name (or relative path) in the mirrors, or None.

    Args:
        name: for instance "resnet50.pth" or "cifar10/Linf/Wong2020Fast.pt".
        mirrors: folders; the subfolder `checkpoints` of each goes before the folder itself.
            Buckets hold data sets only and are left out.
    """
    places = (
        folder / name for mirror in local_folders(mirrors) for folder in (mirror / FOLDER, mirror)
    )
    return next((path for path in places if path.is_file()), None)


def in_mirrors(mirrors: Iterable[str]) -> str:
    """Say in a message that something is in none of these folders."""
    return f"in none of the folders of `paths.mirror` ({', '.join(mirrors) or 'none'})"


def _timm_file(name: str, mirrors: Iterable[str]) -> Path:
    """The released weights of a timm model: from a mirror, else from where timm fetches them."""
    import timm  # not for the other schemes: it takes seconds

    config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if config is None or not (config.url or config.hf_hub_id):
        raise UserError(
            f"checkpoint timm:{name}: timm has no released weights of this name; give yours as "
            '"file:<path>"'
        )
    tagged = f"{config.architecture}.{config.tag}" if config.tag else config.architecture
    wanted = [f"{tagged}.safetensors", Path(config.url or "").name]
    found = (find_in_mirrors(each, mirrors) for each in wanted if each)
    path = next((path for path in found if path is not None), None)
    return path or _from_timm(config, wanted[0], mirrors)


def _from_timm(config: object, wanted: str, mirrors: Iterable[str]) -> Path:
    try:
        if not config.hf_hub_id:
            from timm.models import _hub

            return Path(_hub.download_cached_file(config.url))
        from huggingface_hub import hf_hub_download

        return Path(hf_hub_download(config.hf_hub_id, "model.safetensors"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"checkpoint timm:{config.architecture}: {wanted} is {in_mirrors(mirrors)}, and timm "
            f"could not download it ({type(error).__name__}). Fetch it where there is a network "
            f"and put it into mirror/{FOLDER}/ under this name."
        ) from error


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


def check_hash(found: str, url: str, expected: str | None) -> None:
    """Stop if the SHA-256 `found` of what `url` names is not the expected one, if there is one.

    Raises:
        UserError: with both.
    """
    if expected is not None and found != expected.lower():
        raise UserError(
            f"checkpoint {url} has SHA-256 {found}, expected {expected}: the file is damaged or "
            "another one"
        )
