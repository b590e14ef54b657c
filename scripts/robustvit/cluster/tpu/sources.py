"""The checkout as a tar file for the workers: what git knows, or all but what runs leave behind."""

from __future__ import annotations

import hashlib
import subprocess
import tarfile
from pathlib import Path

from robustvit.core.files import atomic_path

SKIPPED = {".git", ".venv", ".tools", ".snakemake", "results", "mirror", "__pycache__"}


def source_files(root: Path) -> list[str]:
    """Paths of the checkout's files below its root, in order."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        done = None
    if done and done.returncode == 0 and done.stdout:
        return sorted(name for name in done.stdout.split("\0") if name and (root / name).exists())
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(str(name) for name in found if not SKIPPED.intersection(name.parts))


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
