"""Building from archives: any number of processes, odd and damaged images, counts."""

from __future__ import annotations

import csv
import io
import os
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from archive_samples import SYNSETS, content, imagenet_source, jpeg, validation_names
from PIL import Image

from robustvit.benchmarks.building import measure_build, write_archives
from robustvit.core.disk import NoSpace
from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.core.locks import hold_lock
from robustvit.data import archive_building, records, shards
from robustvit.data.building import DatasetPlan, Example
from robustvit.data.members import tar_members
from robustvit.data.reading import TfdsImages
from robustvit.data.shards import plan_shards
from robustvit.data.tar_writing import add_bytes, open_tar
from robustvit.data.writing import About, derived_source, write_set

OPTIONS = {"classes": list(SYNSETS)}


def exif_jpeg(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return jpeg(1, exif=exif.tobytes())


def broken_exif_jpeg() -> bytes:
    return jpeg(2, exif=b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x30\x00" + b"\xff" * 40)


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path, build, monkeypatch):
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 20_000)
    source = imagenet_source(tmp_path / "source", 12)
    path = build("imagenet_classes", source, OPTIONS)
    found = content(path.parent)
    assert len(found["manifest.json"]["splits"]["train"]["shards"]) >= 5
    assert content(build("imagenet_classes", source, OPTIONS, workers=3).parent) == found


def test_a_record_is_what_tfds_writes(monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    features = tfds.features.FeaturesDict(
        {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
            "label": tfds.features.ClassLabel(num_classes=7),
            "id": tfds.features.Text(),
        }
    )
    example = {"image": jpeg(), "label": 5, "id": "é.jpg"}
    expected = features.serialize_example(example)
    record = records.make_record(example["image"], 5, "é.jpg")
    assert records.parse_record(expected) == records.parse_record(record)
    assert len(expected) == len(record)
    assert record.index(b"\n\x02id") < record.index(b"\n\x05image") < record.index(b"\n\x05label")


ODD = {
    f"{SYNSETS[0]}_1.JPEG": (jpeg(1, mode="L"), ["grayscale"]),
    f"{SYNSETS[0]}_2.JPEG": (jpeg(2, mode="CMYK"), ["cmyk"]),
    f"{SYNSETS[0]}_3.JPEG": (jpeg(3, kind="png"), ["png_not_jpeg"]),
    f"{SYNSETS[1]}_1.JPEG": (exif_jpeg(6), ["exif_rotated"]),
    f"{SYNSETS[1]}_2.JPEG": (broken_exif_jpeg(), ["exif_damaged"]),
    f"{SYNSETS[1]}_3.JPEG": (jpeg(4, mode="RGBA", kind="png"), ["png_not_jpeg", "mode_RGBA"]),
    f"{SYNSETS[2]}_1.JPEG": (exif_jpeg(1), []),
}


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_odd_images_keep_their_bytes_and_are_reported(tmp_path, build, read_spec):
    changes = {name: data for name, (data, _) in ODD.items()}
    source = imagenet_source(tmp_path / "source", 4, changes)
    path = build("imagenet_classes", source, OPTIONS)
    data = TfdsImages(path, read_spec("train"))
    expected = [("train", name, kind) for name, (_, kinds) in ODD.items() for kind in kinds]
    with open(path.parent / "odd_images.csv", newline="", encoding="utf-8") as file:
        rows = [tuple(row) for row in csv.reader(file)]
    assert rows == [("split", "id", "kind"), *expected]
    described = read_json(path)["odd_images"]
    assert {kind: part["count"] for kind, part in described.items()} == {
        "cmyk": 1,
        "exif_damaged": 1,
        "exif_rotated": 1,
        "grayscale": 1,
        "mode_RGBA": 1,
        "png_not_jpeg": 2,
    }
    assert described["cmyk"]["first"] == [f"{SYNSETS[0]}_2.JPEG"]
    for name, original in changes.items():
        place = data.ids.index(name)
        assert data.encoded([place]) == [original]
        # As torchvision's ImageFolder reads it: no orientation, Pillow's conversion.
        with Image.open(io.BytesIO(original)) as image:
            np.testing.assert_array_equal(data[place][0], np.asarray(image.convert("RGB")))


def test_a_set_without_odd_images_says_so(tmp_path, build):
    path = build("imagenet_classes", imagenet_source(tmp_path / "source"), OPTIONS)
    manifest = read_json(path)
    assert manifest["odd_images"] == {} and manifest["left_out"] == []
    assert not (path.parent / "odd_images.csv").exists()
    assert len(manifest["source_sha256"]["train"]) == 64


TRUNCATED = f"{SYNSETS[1]}_2.JPEG"


@pytest.fixture
def damaged(tmp_path):
    """Archives with one image that is cut off and one that is none."""
    changes = {TRUNCATED: jpeg(5)[:-400], validation_names()[0]: b"<html>not found</html>"}
    return imagenet_source(tmp_path / "source", 4, changes)


def test_damaged_images_are_all_named(damaged, build, tmp_path, capsys):
    with pytest.raises(UserError, match="does not decode") as raised:
        build("imagenet_classes", damaged, OPTIONS)
    for name in (TRUNCATED, validation_names()[0], "damaged_images: skip", "truncated"):
        assert name in str(raised.value)
    assert f"{TRUNCATED} (train, {SYNSETS[1]}): image file is truncated" in capsys.readouterr().err
    assert not (tmp_path / "tiny").exists()


def test_damaged_images_may_be_left_out(damaged, build, read_spec, capsys):
    with pytest.raises(UserError):
        build("imagenet_classes", damaged, OPTIONS)
    path = build("imagenet_classes", damaged, {**OPTIONS, "damaged_images": "skip"})
    assert "2 of 2 shards are kept" in capsys.readouterr().err  # nothing is built anew for it
    manifest = read_json(path)
    assert manifest["splits"]["train"]["class_counts"] == [4, 3, 4]
    assert manifest["splits"]["validation"]["num_examples"] == 5
    left = {row["id"]: (row["split"], row["class"]) for row in manifest["left_out"]}
    assert left[TRUNCATED] == ("train", SYNSETS[1])
    assert set(left) == {TRUNCATED, validation_names()[0]}
    data = TfdsImages(path, read_spec("train"))
    assert len(data) == 11 and TRUNCATED not in data.ids
    assert [records.parse_record(r)[1:] for r in data._records(range(11))] == [
        (label, name) for label, name in zip(data.labels.tolist(), data.ids, strict=True)
    ]


def test_leaving_out_does_not_pass_the_expected_counts(damaged, build):
    counts = {"train": {"per_class": 4}}
    options = {**OPTIONS, "damaged_images": "skip", "expected_counts": counts}
    with pytest.raises(UserError, match=rf"class {SYNSETS[1]} has 3 images, expected 4"):
        build("imagenet_classes", damaged, options)


def test_a_short_archive_names_the_class_before_anything_is_read(tmp_path, build, monkeypatch):
    monkeypatch.setattr(archive_building, "build_shard", lambda _: pytest.fail("built"))
    options = {**OPTIONS, "expected_counts": "official"}
    source = {**imagenet_source(tmp_path / "source"), "complete": True}
    with pytest.raises(UserError, match=rf"class {SYNSETS[0]} has 2 images, expected 50"):
        build("imagenet_classes", source, options)


def test_an_unknown_policy_is_explained(tmp_path, build):
    options = {**OPTIONS, "damaged_images": "ignore"}
    with pytest.raises(UserError, match=r"options\.damaged_images: unknown policy.*error, skip"):
        build("imagenet_classes", imagenet_source(tmp_path / "source"), options)


def test_too_little_space_is_told_before_the_work(tmp_path, build, monkeypatch):
    class Usage:
        free = 1000

    monkeypatch.setattr(archive_building.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(NoSpace, match=r"needs .* GB more, and 0\.0 GB are free"):
        build("imagenet_classes", imagenet_source(tmp_path / "source"), OPTIONS)


def test_another_archive_option_or_code_is_another_job(tmp_path):
    source = imagenet_source(tmp_path / "source")
    about = About("set", "imagenet_classes", source, OPTIONS, "code")
    key = archive_building.job_key(about)

    def changed(**parts) -> str:
        return archive_building.job_key(replace(about, **parts))

    assert changed() == key
    assert changed(options={**OPTIONS, "damaged_images": "skip"}) == key
    assert changed(options={"classes": [SYNSETS[0]]}) != key
    assert changed(code="other") != key
    assert changed(source={**source, "sha256": {"train": "0"}}) != key
    status = source["files"]["val"].stat()
    os.utime(source["files"]["val"], ns=(status.st_mtime_ns, status.st_mtime_ns + 1))
    assert changed() != key


def test_a_second_build_of_the_same_set_is_kept_out(tmp_path, build, monkeypatch):
    source = imagenet_source(tmp_path / "source")

    def nested(tasks, about, workers):
        build("imagenet_classes", source, OPTIONS)

    monkeypatch.setattr(archive_building, "_build_shards", nested)
    with pytest.raises(UserError, match="is already building tiny"):
        build("imagenet_classes", source, OPTIONS)


def test_what_killed_builds_left_goes_with_the_next_one(tmp_path, build):
    work = tmp_path / "work" / "tiny"
    for name in ("killed", "running"):
        (work / name).mkdir(parents=True)
        (work / f".{name}.lock").touch()  # a killed process leaves the file, but not the lock
    with hold_lock(work / ".running.lock", str):
        build("imagenet_classes", imagenet_source(tmp_path / "source"), OPTIONS)
    assert sorted(path.name for path in work.iterdir()) == [".running.lock", "running"]


@pytest.mark.parametrize("sizes", [[], [5], [100] * 1000, [0, 10**6, 0, 5, 10**6], [10**5] * 7])
def test_shards_cover_a_split_without_gaps(sizes, monkeypatch):
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 50_000)
    monkeypatch.setattr(shards, "SHARD_BYTES", 200_000)
    parts = plan_shards(np.array(sizes, np.int64))
    assert [i for start, stop in parts for i in range(start, stop)] == list(range(len(sizes)))
    assert all(start < stop for start, stop in parts)
    largest = max((sum(sizes[start:stop]) for start, stop in parts), default=0)
    assert largest <= 200_000 + max(sizes, default=0)


def test_sets_that_are_made_have_the_same_kind_of_manifest(tmp_path, build):
    """Adversarial images and perturbations, which `write_set` writes."""
    examples = [Example("test", f"{i}", i % 2, jpeg(i)) for i in range(4)]
    plan = DatasetPlan(["a", "b"], ["test"], lambda: iter(examples))
    built = read_json(build("imagenet_classes", imagenet_source(tmp_path / "source"), OPTIONS))
    about = About("made", "adversarial", derived_source(built), {"of": ["x", "y"]}, "code")
    write_set(plan, tmp_path / "made" / "manifest.json", about)
    made = read_json(tmp_path / "made" / "manifest.json")
    assert made.keys() == built.keys()
    assert made["splits"]["test"].keys() == built["splits"]["train"].keys()
    assert made["source_sha256"] == {"tiny": built["sha256"]} and made["origin"] == "mirror"
    assert made["image_shape"] == [48, 60, 3] and made["code"] == "code"


def test_a_folder_that_changes_is_another_job(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"12")
    about = About("s", "image_folder", {"files": {"archive": tmp_path}, "sha256": {}})
    key = archive_building.job_key(about)
    (tmp_path / "a" / "1.jpg").write_bytes(b"123")
    assert archive_building.job_key(about) != key


# --- memory --------------------------------------------------------------------------------------


def test_listing_a_tar_keeps_no_member(tmp_path):
    with open_tar(tmp_path / "a.tar") as tar:
        for number in range(5000):
            add_bytes(tar, f"{number}.jpg", b"")
    tracemalloc.start()
    assert sum(1 for _ in tar_members(tmp_path / "a.tar")) == 5000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200_000  # `tarfile` alone keeps about 1 kB of each


def test_memory_does_not_grow_with_the_archive(tmp_path):
    """`bench_building.py --gigabytes 4 --padding-kb 1900` does the same with a large one."""
    rows = []
    for megabytes in (20, 200):
        folder = tmp_path / str(megabytes)
        source = write_archives(folder / "source", megabytes * 10**6, padding=1_900_000)
        rows.append(measure_build(source, folder / "built", 1))
    assert rows[1]["images"] > 5 * rows[0]["images"]
    assert rows[1]["largest_mb"] < rows[0]["largest_mb"] + 30
    assert rows[1]["peak_mb"] < 500
