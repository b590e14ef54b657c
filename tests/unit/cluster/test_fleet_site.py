"""The fleet file's mistakes, the checkout that is sent, and the set-up of a TPU VM."""

import os
import subprocess
import sys
import tarfile

import pytest
import yaml
from tests.workflow.conftest import ROOT

from robustvit.cluster.tpu import checks
from robustvit.cluster.tpu.fleet_site import load_fleet
from robustvit.cluster.tpu.sources import checkout_id, pack
from robustvit.core.errors import UserError


def _load(tmp_path, **site):
    path = tmp_path / "site.yaml"
    path.write_text(yaml.safe_dump({"bucket": "gs://mine/runs", **site}))
    return load_fleet(path)


@pytest.mark.parametrize(
    ("site", "words"),
    [
        ({"bucket": "gs://"}, ["bucket: gs://: expected", "gs://my-bucket"]),
        ({"bucket": "gs:///runs"}, ["bucket: gs:///runs: expected"]),
        ({"bucket": "file://relative/x"}, ["bucket: file://relative/x: expected"]),
        ({"bucket": "gs://my bucket"}, ["bucket: gs://my bucket: expected"]),
        ({"zone": ""}, ["zone: ", "us-central2-b"]),
        ({"accelerator_type": "v4 8"}, ["accelerator_type: ", "v4-8"]),
        ({"folder": "~/x"}, ["folder: ", "robust-vits"]),
        ({"environment": {"A B": "x"}}, ["environment: 'A B'", "WANDB_MODE"]),
    ],
)
def test_a_value_that_cannot_work_is_refused_with_its_key(tmp_path, site, words):
    with pytest.raises(UserError) as raised:
        _load(tmp_path, **site)
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize("bucket", ["gs://b", "s3://b/c", "gs://b/c/", "file:///a b"])
def test_addresses_that_work(tmp_path, bucket):
    assert _load(tmp_path, bucket=bucket)["bucket"] == bucket


def test_a_fleet_file_that_is_no_text(tmp_path):
    path = tmp_path / "site.yaml"
    path.write_bytes(b"\xff\xfe bucket")
    with pytest.raises(UserError, match=r"site.yaml: not UTF-8 text"):
        load_fleet(path)


@pytest.mark.parametrize("results", ["/data/results", "../results", "a/../../b"])
def test_results_outside_the_checkout_are_refused(tmp_path, monkeypatch, results):
    monkeypatch.setattr(checks, "_problems_of_cloud", lambda site, tell: [])
    site = _load(tmp_path, bucket=f"file://{tmp_path}/bucket")
    with pytest.raises(UserError, match=r"paths\.results: .* Example: paths: \{results: results\}"):
        checks.check_fleet(site, print, results)
    checks.check_fleet(site, print, "results")


def _git(folder, *words):
    command = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b",
        "-c",
        "protocol.file.allow=always",
    ]
    subprocess.run([*command, *words], cwd=folder, check=True, capture_output=True)


def test_a_checkout_with_a_submodule_is_packed_with_its_files(tmp_path):
    for name in ("inner", "outer"):
        (tmp_path / name).mkdir()
        _git(tmp_path / name, "init", "-q")
        (tmp_path / name / f"{name}.txt").write_text(name)
        _git(tmp_path / name, "add", ".")
        _git(tmp_path / name, "commit", "-qm", "x")
    outer = tmp_path / "outer"
    _git(outer, "submodule", "add", "-q", str(tmp_path / "inner"), "sub")
    (outer / "new.txt").write_text("not known to git yet")
    (outer / "nested").mkdir()
    _git(outer / "nested", "init", "-q")  # a repository that is no submodule
    pack(outer, tmp_path / "source.tar.gz")
    with tarfile.open(tmp_path / "source.tar.gz") as archive:
        assert sorted(archive.getnames()) == [
            ".gitmodules",
            "new.txt",
            "outer.txt",
            "sub/inner.txt",
        ]
    _git(outer, "submodule", "deinit", "-f", "sub")
    pack(outer, tmp_path / "source.tar.gz")  # its folder is empty


def test_a_checkout_keeps_its_id_and_a_copy_has_its_own(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    first = checkout_id(one)
    assert checkout_id(one) == first
    one.rename(other)
    one.mkdir()
    assert len({first, checkout_id(one), checkout_id(other)}) == 3


def _function(name):
    """A function of the set-up, as bash text."""
    text = (ROOT / "scripts/setup_tpu_vm.sh").read_text()
    return f"{name}() {{{text.partition(f'{name}() {{')[2].partition(chr(10) + '}')[0]}\n}}\n"


def _bash(text, **variables):
    environment = {"PATH": os.environ["PATH"], **variables}
    command = ["bash", "-euo", "pipefail", "-c", text]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


def test_the_set_up_takes_a_python_whose_path_has_a_blank(tmp_path):
    folder = tmp_path / "my python"
    folder.mkdir()
    (folder / "python").symlink_to(sys.executable)
    found = _bash("usable() { true; }\n" + _function("find_python") + "find_python",
                  PYTHON=str(folder / "python"))  # fmt: skip
    assert found.stdout.strip() == str(folder / "python"), found.stderr


def test_the_set_up_waits_for_the_packages_lock(tmp_path):
    """A new VM updates itself, and apt-get fails at once while another holds the lock."""
    log = tmp_path / "log"
    for name in ("apt-get", "apt-cache"):
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\necho {name} "$@" >> {log}\n')
        path.chmod(0o755)
    text = 'lock=tpu\nas_root() { "$@"; }\n' + _function("install_python") + "install_python"
    done = _bash(text, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    calls = [line for line in log.read_text().splitlines() if line.startswith("apt-get")]
    assert [("update" in call, "install" in call) for call in calls] == [
        (True, False),
        (False, True),
    ]
    assert all("DPkg::Lock::Timeout=600" in call for call in calls)
