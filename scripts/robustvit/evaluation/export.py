"""Adversarial images of an evaluation as a TFDS set, with the exact pixels beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_directory, read_json, write_json
from robustvit.core.sources import code_digest
from robustvit.data.building import DatasetPlan, Example
from robustvit.data.png import encode_png
from robustvit.data.writing import About, derived_name, derived_source, write_into
from robustvit.evaluation.adversarial import IMAGE, ROUNDED, decode_image, round_to_8_bits
from robustvit.evaluation.gather import read_shards
from robustvit.evaluation.rows import read_rows

PIXELS, VERDICTS = "adversarial.npy", "verdicts.parquet"
KEPT = ["index", "example_id", "label", "clean_prediction", "attack", "prediction", "success"]


def export_adversarial(spec: dict, shards: Sequence[Path], manifest: Path, output: Path) -> None:
    """Write the set; the folder of `output` is replaced as a whole.

    In the folder: the TFDS set of the images rounded to 8 bits, which everything that reads a data
    set can read; `adversarial.npy`, the exact images, float32 [N, 3, H, W] in [0, 1], in the order
    of the set; `verdicts.parquet`, one row per image: its attack, the model's class of the exact
    image and of the rounded one.

    Args:
        spec: GATHER.
        shards: Parquet files of an evaluation with `save_adversarial`.
        manifest: manifest.json of the attacked data set.
        output: manifest.json of the new one.

    Raises:
        UserError: for a shard that is damaged or holds no images.
    """
    original, images = read_json(manifest), _Images(spec, shards)
    names = [spec["experiment"], spec["protocol"]]
    code = code_digest("export_adversarial.py")
    source = derived_source(original) | {"complete": original.get("complete")}
    about = About(derived_name("a", *names), "adversarial", source, {"of": names}, code)
    with atomic_directory(output.parent) as folder:
        plan = images.plan(original["classes"], folder / PIXELS)
        write_into(folder, plan, output.name, about)
        pq.write_table(images.verdicts, folder / VERDICTS)
        described = read_json(folder / output.name)
        keys = ("experiment", "protocol", "threat", "attack", "seed")
        described["adversarial"] = {key: spec[key] for key in keys} | images.counts()
        write_json(folder / output.name, described)


class _Images:
    """The images of all shards in the order of their places in the split.

    Args:
        spec: GATHER.
        shards: Parquet files.
    """

    def __init__(self, spec: dict, shards: Sequence[Path]) -> None:
        self.spec = spec
        _require_images(spec, shards)
        found = read_shards(spec, shards, [*KEPT, ROUNDED])
        parts = [(path, table.filter(pc.is_valid(table[ROUNDED]))) for path, table, _ in found]
        # The places of a shard follow on each other: sorted shards are a sorted set.
        parts = sorted(parts, key=lambda part: part[1]["index"][0].as_py())
        self.paths = [path for path, _ in parts]
        self.verdicts: pa.Table = pa.concat_tables([table for _, table in parts])

    def counts(self) -> dict[str, int]:
        """How many images fool the model, and how many still do when they are rounded."""
        fooled = pc.not_equal(self.verdicts[ROUNDED], self.verdicts["label"])
        return {
            "broken": int(pc.sum(self.verdicts["success"]).as_py()),
            "broken_after_rounding": int(pc.sum(pc.and_(fooled, self._right())).as_py()),
        }

    def plan(self, classes: list[str], pixels: Path) -> DatasetPlan:
        """Describe the set; writing it also writes the exact images to `pixels`."""
        split, count = self.spec["dataset"]["split"], len(self.verdicts)
        return DatasetPlan(classes, [split], lambda: self._examples(split, pixels), count, "png")

    def _right(self) -> pa.ChunkedArray:
        return pc.equal(self.verdicts["clean_prediction"], self.verdicts["label"])

    def _examples(self, split: str, pixels: Path) -> Iterator[Example]:
        size, place = self.spec["dataset"]["image_size"], 0
        shape = (len(self.verdicts), 3, size, size)
        exact = np.lib.format.open_memmap(pixels, "w+", np.float32, shape)
        for path in self.paths:
            table = read_rows(path, ["example_id", "label", IMAGE])[0]
            table = table.filter(pc.is_valid(table[IMAGE]))
            for row in table.to_pylist():
                exact[place] = image = decode_image(row[IMAGE], size)
                data = encode_png(round_to_8_bits(image).transpose(1, 2, 0))
                yield Example(split, row["example_id"], row["label"], data)
                place += 1
        exact.flush()


def _require_images(spec: dict, shards: Sequence[Path]) -> None:
    """Stop before shards without images are taken for damaged ones."""
    for path in shards:
        try:
            columns = pq.read_schema(path).names
        except (pa.ArrowException, OSError):
            continue  # whoever reads the rows says what is wrong with the file
        if IMAGE not in columns:
            raise UserError(
                f"protocols.{spec['protocol']}.save_adversarial: expected true; without it an "
                "evaluation keeps no images. Set it and start again."
            )
