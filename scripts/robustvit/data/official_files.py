"""Finding a source's official files: in a folder, in a bucket, else at their official addresses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from robustvit.core.errors import UserError
from robustvit.data.archives import (
    MIRROR_EXAMPLE,
    OFFICIAL_NAMES,
    check_archive,
    find_in_mirrors,
    folder_names,
)
from robustvit.data.buckets import RemoteFile, copy_files, find_files
from robustvit.data.download import DownloadError, download
from robustvit.data.mirrors import bucket_addresses
from robustvit.data.official import official_digest, source_facts
from robustvit.data.source_files import downloads_folder, remove_empty_downloads, write_source


@dataclass(frozen=True)
class Located:
    """Official files on this machine.

    Attributes:
        files: role → absolute path.
        origin: "mirror" or "download".
        detail: one sentence on where they are from.
    """

    files: dict[str, Path]
    origin: str
    detail: str


def fetch_imagenet(source: str, mirrors: list[str], folder: Path) -> None:
    """Check ILSVRC2012 archives of a mirror and write source.json; no program may download them.

    Args:
        source: "imagenet" (both archives) or "imagenet_val" (that of the validation images).
        mirrors: the entries of `paths.mirror`.
        folder: where source.json goes.

    Raises:
        UserError: if no mirror holds what is needed, or if an archive is truncated.
    """
    found = locate(source, mirrors, folder)
    if found is None:
        raise _no_imagenet(source, mirrors)
    write_located(source, found, folder)


def _no_imagenet(source: str, mirrors: list[str]) -> UserError:
    names = [names[0] for names in OFFICIAL_NAMES[source].values()]
    problem = "ImageNet is in none of the folders and buckets of `paths.mirror`"
    if source == "imagenet" and find_in_mirrors("imagenet_val", mirrors) is not None:
        problem = (
            f"{OFFICIAL_NAMES['imagenet_val']['val'][0]} is there, but no {names[0]} in the same "
            "folder, which sets with training images need (sets of validation images alone take "
            "the source imagenet_val)"
        )
    return UserError(
        f"{problem}. Accept the terms on image-net.org (page 'Download', ILSVRC2012), download "
        f"{' and '.join(names)}, put {'both into one' if names[1:] else 'it into a'} folder, and "
        f"name it in the configuration, for instance mirror/imagenet/ with {MIRROR_EXAMPLE}."
    )


def fetch_official(source: str, mirrors: list[str], folder: Path) -> None:
    """Take the files of `source` from a mirror, else download them; write source.json.

    Raises:
        UserError: if neither works, or if an archive is truncated.
    """
    found = locate(source, mirrors, folder) or download_files(source, folder)
    write_located(source, found, folder)


def write_located(source: str, found: Located, folder: Path) -> None:
    """Check that the archives are whole and write source.json into `folder`.

    Raises:
        UserError: if one is damaged or truncated.
    """
    for path in found.files.values():
        check_archive(path)
    write_source(folder / "source.json", source, found.files, found.origin, found.detail)


def locate(source: str, mirrors: list[str], folder: Path) -> Located | None:
    """Find the files in the mirrors, folders before buckets; a bucket's are copied here.

    Args:
        source: a key of `OFFICIAL_NAMES`.
        mirrors: the entries of `paths.mirror`.
        folder: of the source's source.json; copies go to the folder of downloads beside it.

    Raises:
        UserError: if a bucket cannot be read.
    """
    found = find_in_mirrors(source, mirrors)
    if found is not None:
        return Located(found, "mirror", str(next(iter(found.values())).parent))
    remote = find_in_buckets(source, mirrors)
    if remote is None:
        return None
    try:
        copies = copy_files(remote.values(), downloads_folder(folder, source))
    except DownloadError as error:
        remove_empty_downloads(folder, source)
        raise UserError(
            f"paths.mirror: {source} could not be copied from the bucket ({error}). Start again to "
            "go on."
        ) from error
    detail = f"copied from {next(iter(remote.values())).url.rsplit('/', 1)[0]}"
    return Located(dict(zip(remote, copies, strict=True)), "mirror", detail)


def find_in_buckets(source: str, mirrors: list[str]) -> dict[str, RemoteFile] | None:
    """Look for all official files in `<bucket>/<source>/` and `<bucket>/`; the first wins.

    Raises:
        UserError: if a bucket cannot be read.
    """
    for bucket in bucket_addresses(mirrors):
        base = bucket.rstrip("/")
        for place in (*(f"{base}/{name}" for name in folder_names(source)), bucket):
            found = find_files(place, OFFICIAL_NAMES[source])
            if found is not None:
                return found
    return None


def download_files(source: str, folder: Path) -> Located:
    """Download all files of a source from their official addresses.

    Raises:
        UserError: if an address cannot be reached or sends something else.
    """
    try:
        files = try_download(source, folder)
    except DownloadError as error:
        raise _offline(source, error) from error
    return Located(files, "download", f"downloaded from {source_facts(source)['page']}")


def try_download(source: str, folder: Path) -> dict[str, Path]:
    """As `download_files`, for a source that has another address to try.

    Raises:
        DownloadError: if an address cannot be reached or sends something else.
    """
    paths = {}
    try:
        for role, facts in source_facts(source)["files"].items():
            paths[role] = downloads_folder(folder, source) / facts["name"]
            algorithm, digest = official_digest(source, role)
            download(facts["url"], paths[role], digest=digest, algorithm=algorithm)
    except DownloadError:
        remove_empty_downloads(folder, source)
        raise
    return paths


def _offline(source: str, error: DownloadError) -> UserError:
    names = ", ".join(names[0] for names in OFFICIAL_NAMES[source].values())
    return UserError(
        f"{source} is in none of the folders of `paths.mirror` and could not be downloaded "
        f"({error}). Without a network: put {names} into a folder that the configuration names, "
        f"for instance mirror/{source}/ with {MIRROR_EXAMPLE}, and start again."
    )
