"""Small archives in ILSVRC's layout, with any images in them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from robustvit.core.files import read_json
from robustvit.data.imagenet_labels import validation_name, validation_synsets
from robustvit.data.source_files import read_source, write_source
from robustvit.data.tar_writing import add_bytes, open_tar

SYNSETS = ("n01641577", "n02389026", "n04285008")


def jpeg(seed: int = 0, size: tuple[int, int] = (60, 48), mode: str = "RGB", **options) -> bytes:
    """A JPEG of noise."""
    shape = (size[1], size[0], 3)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, options.pop("kind", "jpeg"), **options)
    return buffer.getvalue()


def tar_bytes(files: dict[str, bytes]) -> bytes:
    """A plain tar."""
    buffer = io.BytesIO()
    with open_tar(buffer) as tar:
        for name, data in files.items():
            add_bytes(tar, name, data)
    return buffer.getvalue()


def write_imagenet(folder: Path, per_class: int, changes: dict[str, bytes] | None = None) -> Path:
    """Write both archives with three synsets and return their source.json.

    Args:
        folder: where to.
        per_class: training images of a synset; it has two validation images.
        changes: other bytes for some names.
    """
    changes, seed = changes or {}, iter(range(10**6))
    files = {name: folder / f"ILSVRC2012_img_{name}.tar" for name in ("train", "val")}
    folder.mkdir(parents=True, exist_ok=True)
    with open_tar(files["train"]) as tar:
        for synset in SYNSETS:
            names = [f"{synset}_{number}.JPEG" for number in range(1, per_class + 1)]
            inner = {name: changes.get(name) or jpeg(next(seed)) for name in names}
            add_bytes(tar, f"{synset}.tar", tar_bytes(inner))
    with open_tar(files["val"]) as tar:
        for name in validation_names():
            add_bytes(tar, name, changes.get(name) or jpeg(next(seed)))
    write_source(folder / "source.json", "imagenet", files, "mirror")
    return folder / "source.json"


def validation_names() -> list[str]:
    """Two validation images of each synset, in the archive's order."""
    labels = validation_synsets()
    own = [[i for i, label in enumerate(labels, start=1) if label == s][:2] for s in SYNSETS]
    return [validation_name(number) for number in sorted(n for pair in own for n in pair)]


def imagenet_source(folder: Path, per_class: int = 4, changes: dict | None = None) -> dict:
    """As `write_imagenet`, read."""
    return read_source(write_imagenet(folder, per_class, changes))


def content(folder: Path) -> dict[str, bytes | dict]:
    """Every file of a set by its name; of the manifest what neither clock nor commit decide."""
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    found["manifest.json"] = read_json(folder / "manifest.json") | {"provenance": None}
    return found
