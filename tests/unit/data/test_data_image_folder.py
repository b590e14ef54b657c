"""A user's own images in one folder per class: folder, zip or tar, with and without splits."""

from __future__ import annotations

import os
import tarfile
import zipfile
from pathlib import Path

import pytest
from archive_samples import content, jpeg

from robustvit.core.errors import UserError
from robustvit.core.files import read_json
from robustvit.data.archives import check_archive
from robustvit.data.members import folder_members
from robustvit.data.reading import TfdsImages

CLASSES = {f"{name}/{number}.jpg": (name, number) for name in "abc" for number in range(10)}
FILES = {name: jpeg(i) for i, name in enumerate(CLASSES)}
SPLIT = {
    **{f"train/{name}": data for name, data in FILES.items() if int(name[2]) < 6},
    **{f"val/{name}": data for name, data in FILES.items() if int(name[2]) == 6},
    **{f"test/{name}": data for name, data in FILES.items() if int(name[2]) > 6},
}


def write_folder(path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


def write_tar(path: Path, files: dict[str, bytes], mode: str) -> Path:
    folder = write_folder(path.with_suffix(".files"), files)
    with tarfile.open(path, mode) as tar:
        for entry in sorted(folder.iterdir()):
            tar.add(entry, entry.name)  # with its folders, as a user packs it
    return path


def write_zip(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


KINDS = {
    "folder": write_folder,
    "set.zip": write_zip,
    "set.tar": lambda path, files: write_tar(path, files, "w"),
    "set.tar.gz": lambda path, files: write_tar(path, files, "w:gz"),
    "set.tar.xz": lambda path, files: write_tar(path, files, "w:xz"),
}


@pytest.fixture
def own(tmp_path, build):
    """Return a function that packs files in some way and builds a set of them."""

    def run(files, options=None, kind="folder", name="own", workers=1) -> Path:
        (tmp_path / name).mkdir()
        archive = KINDS[kind](tmp_path / name / kind, files)
        source = {"files": {"archive": archive}, "sha256": {"archive": "0" * 64}}
        source |= {"stand_in": False, "origin": "mirror"}
        return build("image_folder", source, options, f"{name}_set", workers)

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_of_packing_gives_the_same_splits(own, read_spec, kind):
    path = own(SPLIT, kind=kind)
    manifest = read_json(path)
    assert manifest["classes"] == ["a", "b", "c"]
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [6] * 3, "validation": [1] * 3, "test": [3] * 3}
    for split, folder in (("train", "train"), ("validation", "val")):
        data = TfdsImages(path, read_spec(split, num_classes=3))
        for place, (name, label) in enumerate(zip(data.ids, data.labels, strict=True)):
            assert name.startswith(f"{folder}/{manifest['classes'][label]}/")
            assert data.encoded([place]) == [SPLIT[name]]


@pytest.mark.parametrize("kind", KINDS)
def test_without_splits_a_share_of_each_class_is_set_aside(own, kind):
    manifest = read_json(own(FILES, {"test_fraction": 0.3}, kind))
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [7] * 3, "test": [3] * 3}


def test_the_share_is_drawn_by_the_names_alone(own, read_spec):
    def test_ids(path: Path, classes: int = 3) -> set[str]:
        return set(TfdsImages(path, read_spec("test", num_classes=classes)).ids)

    first = test_ids(own(FILES, kind="folder"))
    assert len(first) == 6
    assert test_ids(own(dict(reversed(FILES.items())), kind="set.zip", name="zip")) == first
    assert {int(name[2]) for name in first} != {0, 1}  # not simply the first ones
    fewer = {name: data for name, data in FILES.items() if name[0] != "b"}
    assert test_ids(own(fewer, name="fewer"), 2) == {name for name in first if name[0] != "b"}


def test_an_outer_folder_and_folders_inside_a_class_change_nothing(own):
    inner = {f"my birds/images/{n[0]}/sub/{n[2:]}": data for n, data in FILES.items()}
    manifest = read_json(own(inner))
    assert manifest["classes"] == ["a", "b", "c"]
    assert sum(split["num_examples"] for split in manifest["splits"].values()) == 30


def test_a_tar_that_ends_with_a_zip_is_a_tar(own, tmp_path):
    backup = write_zip(tmp_path / "backup.zip", {"x/1.jpg": jpeg(1), "y/1.jpg": jpeg(2)})
    files = {**FILES, "zzz.zip": backup.read_bytes()}
    assert read_json(own(files, kind="set.tar"))["classes"] == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["set.tar.xz", "set.tar.gz"])
def test_a_compressed_tar_that_is_none_is_told_at_once(tmp_path, kind):
    path = tmp_path / kind
    path.write_bytes(b"<html>404</html>")
    with pytest.raises(UserError, match=kind):
        check_archive(path)


def test_other_files_are_counted_and_hidden_ones_are_not(own):
    extra = {"readme.txt": b"x", "a/labels.csv": b"x", "loose.jpg": jpeg(), ".DS_Store": b"x"}
    extra |= {"__MACOSX/a/._0.jpg": b"x"}
    manifest = read_json(own({**FILES, **extra}))
    assert manifest["ignored_files"]["count"] == 3
    assert set(manifest["ignored_files"]["first"]) == {"readme.txt", "a/labels.csv", "loose.jpg"}
    assert sum(split["num_examples"] for split in manifest["splits"].values()) == 30


def test_classes_and_splits_may_be_chosen(own):
    files = {**SPLIT, "extra/a/0.jpg": jpeg(50)}
    with pytest.raises(UserError, match="beside test, train, val there is extra: is it a class"):
        own(files, name="asked")
    options = {"splits": {"train": "train", "val": "test"}, "classes": ["c", "a"]}
    manifest = read_json(own(files, options, name="chosen"))
    assert manifest["classes"] == ["a", "c"]
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [6, 6], "test": [1, 1]}
    assert manifest["ignored_files"]["count"] == 10  # those of `test` and `extra`


def test_classes_may_have_names_of_splits(own):
    files = {f"{folder}/{i}.png": jpeg(i, kind="png") for folder in ("test", "x") for i in range(5)}
    path = own(files, {"splits": {}})
    assert read_json(path)["classes"] == ["test", "x"]
    assert '"encodingFormat": "png"' in (path.parent / "tfds" / "features.json").read_text()


def test_formats_may_be_mixed(own, read_spec):
    files = {f"{c}/{i}.{k}": jpeg(i, kind=k) for c in "ab" for i, k in enumerate(("jpeg", "png"))}
    files |= {f"{c}/9.webp": jpeg(9, kind="webp", lossless=True) for c in "ab"}
    path = own(files)
    train, test = (TfdsImages(path, read_spec(name, num_classes=2)) for name in ("train", "test"))
    assert len(train) + len(test) == 6
    assert train[0][0].shape == (48, 60, 3)
    assert read_json(path)["odd_images"] == {}


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"1.jpg": b"", "readme.txt": b""}, {}, "no images in one folder per class"),
        (FILES, {"test_fraction": 2.0}, "test_fraction: 2.0; expected for instance"),
        (FILES, {"classes": ["d"]}, 'options.classes: unknown class "d"'),
        (SPLIT, {"splits": {"trian": "train"}}, 'Did you mean "train"'),
        ({"a/1.jpg": b"", "b/1.jpg": b"", "b/2.jpg": b""}, {}, "class a has one image"),
        ({**SPLIT, "train/d/1.jpg": b""}, {}, "split test has no image of class d"),
        (FILES, {"fraction": 0.1}, "has no such option"),
        ({"a/1.jpg": b"", "a/2.jpg": b""}, {}, "a is the only class. Expected two or more"),
        ({"train/x/1.jpg": b"", "test/x/1.jpg": b""}, {}, "x is the only class"),
        ({**FILES, "d/1.heic": b"", "d/2.gif": b""}, {}, r"folder d has no image .* d/1\.heic"),
        ({**SPLIT, "train/d/1.gif": b"", "test/d/1.gif": b""}, {}, "the folder d has no image"),
    ],
)
def test_what_cannot_be_built_is_explained(own, files, options, message):
    with pytest.raises(UserError, match=message):
        own(files, options)


@pytest.mark.parametrize(
    ("train", "test"),
    [("Train", "TEST"), ("train_set", "test_set"), ("Training-Images", "Testing-Images")],
)
def test_splits_are_known_in_other_spellings(own, train, test):
    files = {f"{train}/{name}": data for name, data in FILES.items() if int(name[2]) < 6}
    files |= {f"{test}/{name}": data for name, data in FILES.items() if int(name[2]) >= 6}
    manifest = read_json(own(files))
    assert manifest["classes"] == ["a", "b", "c"]
    counts = {name: split["class_counts"] for name, split in manifest["splits"].items()}
    assert counts == {"train": [6] * 3, "test": [4] * 3}


def test_loose_images_in_the_outer_folder_are_no_class(own):
    files = {f"birds/{name}": data for name, data in FILES.items()} | {"birds/cover.jpg": jpeg(60)}
    manifest = read_json(own(files))
    assert manifest["classes"] == ["a", "b", "c"]
    assert manifest["ignored_files"]["first"] == ["birds/cover.jpg"]


def test_folders_that_are_no_classes_may_hold_other_files(own):
    manifest = read_json(own({**FILES, "docs/readme.txt": b"x"}))
    assert manifest["classes"] == ["a", "b", "c"]
    left_out = {**FILES, "d/1.heic": b""}
    assert read_json(own(left_out, {"classes": ["a", "b", "c"]}, name="chosen"))["classes"]


@pytest.mark.parametrize("num_classes", [2, 4])
def test_as_many_classes_as_the_configuration_says(own, read_spec, num_classes):
    """A folder too many, or a split taken for a class, must not change what is learnt."""
    with pytest.raises(UserError, match=r"num_classes: \d, but its folders are 3 classes \(a,"):
        TfdsImages(own(FILES), read_spec("train", num_classes=num_classes))


def test_two_links_to_one_folder_are_two_classes(tmp_path):
    folder = write_folder(tmp_path / "folder", {"a/1.jpg": jpeg()})
    (folder / "b").symlink_to(folder / "a")
    assert [member.name for member in folder_members(folder)] == ["a/1.jpg", "b/1.jpg"]


def test_nothing_in_a_folder_is_left_out_silently(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "folder", {"a/1.jpg": jpeg(), "b/1.jpg": jpeg()})
    (folder / "a" / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with pytest.raises(UserError, match=r"gone\.jpg: cannot be read"):
        list(folder_members(folder))
    (folder / "a" / "gone.jpg").unlink()
    latin = os.fsencode(folder / "a") + b"/caf\xe9.jpg"
    Path(os.fsdecode(latin)).write_bytes(jpeg())
    with pytest.raises(UserError, match=r"the name of 'café\.jpg' is not UTF-8"):
        list(folder_members(folder))
    os.unlink(latin)
    iterdir = Path.iterdir
    refused = PermissionError(13, "Permission denied", str(folder / "b"))

    def guarded(path):
        if path.name == "b":  # root may read everything: no permissions to take away
            raise refused
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    with pytest.raises(UserError, match=r"folder/b: cannot be read \(Permission denied\)"):
        list(folder_members(folder))


def test_links_in_a_folder_are_followed_and_loops_end(tmp_path):
    folder = write_folder(tmp_path / "linked" / "folder", FILES)
    (folder / "a" / "loop").symlink_to(folder)
    elsewhere = write_folder(tmp_path / "elsewhere", {"1.jpg": jpeg(70), "2.jpg": jpeg(71)})
    (folder / "d").symlink_to(elsewhere)
    names = [member.name for member in folder_members(folder)]
    assert len(names) == 32 and "d/1.jpg" in names


def test_an_image_that_changes_meanwhile_is_told(own, tmp_path, monkeypatch):
    from robustvit.data import archive_building

    original = archive_building.plan_shards

    def change(sizes):
        (tmp_path / "own" / "folder" / "a" / "0.jpg").write_bytes(b"shorter")
        return original(sizes)

    monkeypatch.setattr(archive_building, "plan_shards", change)
    with pytest.raises(UserError, match=r"a/0\.jpg: it had \d+ bytes when the build began"):
        own(FILES)


@pytest.mark.parametrize("kind", ["folder", "set.zip", "set.tar.gz"])
def test_any_number_of_processes(own, kind, monkeypatch):
    from robustvit.data import shards

    monkeypatch.setattr(shards, "SMALLEST_SHARD", 20_000)
    one = content(own(FILES, kind=kind).parent)
    three = content(own(FILES, kind=kind, name="more", workers=3).parent)
    assert len(one["manifest.json"]["splits"]["train"]["shards"]) >= 3
    hashes = [list(s["manifest.json"]["splits"]["train"]["shards"].values()) for s in (one, three)]
    assert hashes[0] == hashes[1]
