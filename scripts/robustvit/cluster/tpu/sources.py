"""The checkout as a tar file for the workers: what git knows, or all but what runs leave behind."""

from __future__ import annotations

import contextlib
import hashlib
import subprocess
import tarfile
import uuid
from pathlib import Path

from robustvit.core.files import atomic_path, read_json, write_json

SKIPPED = {".git", ".venv", ".tools", ".snakemake", "results", "mirror", "__pycache__"}

IDENTITY = Path(".snakemake/tpu-fleet/checkout.json")


def source_files(root: Path) -> list[str]:
    """Paths of the checkout's files below its root, in order."""
    # Two calls: git lists what it does not know yet of the outermost repository alone.
    known = _git_files(root, "--cached", "--recurse-submodules")
    if known:
        names = {*known, *_git_files(root, "--others", "--exclude-standard")}
        return sorted(name for name in names if _is_file(root / name))
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(name) for name in found if not SKIPPED.intersection(name.parts))


def _git_files(root: Path, *options: str) -> list[str]:
    """What `git ls-files` names; nothing without git or outside a repository."""
    command = ["git", "ls-files", "-z", *options]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return [name for name in done.stdout.split("\0") if name] if done.returncode == 0 else []


def _is_file(path: Path) -> bool:
    # A submodule that is not checked out, or a repository in the repository, is a folder.
    return path.is_symlink() or path.is_file()


def checkout_id(root: Path) -> str:
    """A random id that a checkout keeps; a copy or one that was moved gets its own.

    Two checkouts may have results of the same name and the same bucket.
    """
    path, root = root / IDENTITY, root.resolve()
    with contextlib.suppress(FileNotFoundError, ValueError):
        known = read_json(path)
        if known["root"] == str(root):
            return known["id"]
    identity = uuid.uuid4().hex[:12]
    write_json(path, {"root": str(root), "id": identity})
    return identity


def pack(root: Path, path: Path) -> str:
    """Write the files into a tar file and return the hash of names and contents."""
    digest = hashlib.sha256()
    with atomic_path(path) as temporary, tarfile.open(temporary, "w:gz") as archive:
        for name in source_files(root):
            file = root / name
            content = str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
            digest.update(f"{name}\0{len(content)}\0".encode() + content)
            archive.add(file, arcname=name)
    return digest.hexdigest()[:16]
