"""Container recipes and the conda environment: the steps of `make env`, from hashed locks."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PREFIX = "/opt/robustvit/"
INSTALL = f"{PREFIX}containers/install.sh"


@pytest.fixture(scope="module")
def containers(repository):
    return repository / "containers"


def dockerfile_copies(text: str) -> list[tuple[str, str]]:
    """What the Dockerfile copies from the build context, and where to."""
    found = re.findall(r"^COPY (.+)$", text, re.MULTILINE)
    pairs = [(source, line.split()[-1]) for line in found for source in line.split()[:-1]]
    assert pairs
    return pairs


def definition_section(text: str, name: str) -> list[str]:
    """The lines of a section of an Apptainer definition."""
    body = re.search(rf"^%{name}\n(.*?)(?=^%|\Z)", text, re.MULTILINE | re.DOTALL).group(1)
    return [line.strip() for line in body.splitlines() if line.strip()]


def ignored(path: str, rules: list[str]) -> bool:
    """Whether .dockerignore keeps a path out of the build context: the last rule that fits says."""
    out = False
    for rule in rules:
        if fnmatch.fnmatch(path, rule.lstrip("!")):
            out = not rule.startswith("!")
    return out


def image_files(repository, recipe: str) -> set[str]:
    """Files that a recipe puts into the image, by their path under /opt/robustvit."""
    text = (repository / "containers" / recipe).read_text()
    if recipe == "Dockerfile":
        lines = (repository / ".dockerignore").read_text().splitlines()
        rules = [line for line in lines if line and not line.startswith("#")]
        found = [
            (file.relative_to(repository).as_posix(), target)
            for source, target in dockerfile_copies(text)
            for file in sorted(
                (repository / source).rglob("*") if source.endswith("/") else [repository / source]
            )
            if not ignored(file.relative_to(repository).as_posix(), rules)
        ]
    else:
        found = [
            (file.relative_to(repository).as_posix(), target)
            for source, target in map(str.split, definition_section(text, "files"))
            for file in sorted(repository.glob(source))
        ]
    assert all(target == PREFIX + os.path.dirname(source) + "/" for source, target in found)
    return {source for source, _ in found}


@pytest.mark.parametrize("recipe", ["Dockerfile", "robustvit.def"])
def test_a_recipe_copies_the_locks_and_what_its_steps_call(repository, recipe):
    copied = image_files(repository, recipe)
    locks = {f"envs/{path.name}" for path in (repository / "envs").glob("*.txt")}
    scripts = {f"containers/{name}.sh" for name in ("install", "environment", "entrypoint")}
    assert copied == locks | scripts | {"scripts/bootstrap_env.sh"}


def test_both_recipes_run_the_same_steps_with_the_same_defaults(containers):
    docker = (containers / "Dockerfile").read_text()
    definition = (containers / "robustvit.def").read_text()
    assert re.findall(r"^RUN (.+)$", docker, re.MULTILINE) == [f'{INSTALL} "${{LOCK}}"']
    assert definition_section(definition, "post") == [f'{INSTALL} "{{{{ LOCK }}}}"']
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", docker, re.MULTILINE))
    defaults = dict(line.split("=", 1) for line in definition_section(definition, "arguments"))
    assert defaults.pop("FROM") == "docker"
    assert arguments == defaults == {"BASE": "debian:bookworm-slim", "LOCK": "main"}
    entry = f"{PREFIX}containers/entrypoint.sh"
    assert f'ENTRYPOINT ["{entry}"]' in docker
    assert definition_section(definition, "runscript") == [f'exec {entry} "$@"']


def test_no_recipe_names_a_host(containers):
    for path in containers.iterdir():
        assert "://" not in path.read_text(encoding="utf-8"), path


def test_the_image_does_not_run_as_root(containers):
    """Apptainer's never does: it runs as the user who starts it."""
    users = re.findall(r"^USER (\S+)", (containers / "Dockerfile").read_text(), re.MULTILINE)
    assert users and users[-1] not in ("root", "0"), users


@pytest.fixture
def image(tmp_path, repository):
    """What an image holds before its steps run, with stand-ins for the system's programs."""
    root = tmp_path / "image"
    for folder in ("envs", "containers", "scripts"):
        (root / folder).mkdir(parents=True)
    for name in image_files(repository, "Dockerfile"):
        shutil.copy(repository / name, root / name)
    programs = tmp_path / "bin"
    programs.mkdir()
    calls = tmp_path / "calls"
    fake_uv = f"""
echo "uv $* cache=${{UV_NO_CACHE:-}}" >>{calls}
case "$1" in
    --version) ;;
    venv) {sys.executable} -m venv --without-pip "${{@: -1}}"
          ln -s /bin/true "${{@: -1}}/bin/snakemake" ;;
esac"""
    for name, body in {
        "uv": fake_uv,
        "git": f'echo "git $*" >>{calls}',
        "make": "",
        "python3": f'exec {sys.executable} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    return root, calls, {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(tmp_path)}


@pytest.mark.parametrize(
    ("lock", "files"), [("main", ("main", "dev")), ("tpu", ("tpu", "dev")), ("submit", ("submit",))]
)
def test_the_steps_install_exactly_the_lock_as_make_env_does(image, lock, files):
    root, calls, environment = image
    done = subprocess.run(
        [root / "containers" / "install.sh", lock], env={**environment, "PYTHON": "python3"},
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (sync,) = [line for line in calls.read_text().splitlines() if line.startswith("uv pip")]
    locks = " ".join(f"{root}/envs/{name}.txt" for name in files)
    assert sync == (
        "uv pip sync --quiet --require-hashes --compile-bytecode"
        f" --python {root}/.venv/bin/python {locks} cache=1"
    )
    assert "git config --system --add safe.directory *" in calls.read_text()
    assert not list(root.rglob("robustvit-scripts.pth")) and not (root / ".tools").exists()


def test_a_lock_that_does_not_exist_stops_the_build(image):
    root, _, environment = image
    done = subprocess.run(
        [root / "containers" / "install.sh", "gpu"], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and "LOCK=gpu" in done.stderr


def test_the_lock_that_starts_runs_has_no_models(repository):
    text = (repository / "envs" / "submit.txt").read_text()
    names = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert {"snakemake", "snakemake-executor-plugin-slurm", "robustbench"} <= names
    assert not names & {"torch", "timm", "tensorflow-datasets"}


def environment_in(containers, folder: Path, **variables: str) -> dict[str, str]:
    """Variables after environment.sh, in a folder."""
    done = subprocess.run(
        ["/bin/sh", "-euc", f". {containers}/environment.sh; env"],
        cwd=folder, env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("home", ["/", "project", "missing"])
def test_a_user_without_a_name_and_a_home_gets_both(containers, tmp_path, home):
    (tmp_path / "project").mkdir()
    variables = {"HOME": str(tmp_path / home), "TMPDIR": str(tmp_path)}
    found = environment_in(containers, tmp_path / "project", **variables)
    assert found["USER"] == f"user{os.getuid()}"
    assert Path(found["HOME"]) == tmp_path / f"robustvit-home-{os.getuid()}"
    assert Path(found["HOME"]).is_dir()
    assert found["PATH"].startswith(f"{PREFIX}.venv/bin:")


def test_the_machine_outside_does_not_leak_in(containers, tmp_path):
    variables = {
        "PYTHONPATH": "/elsewhere",
        "PYTHONHOME": "/elsewhere",
        "VIRTUAL_ENV": "/elsewhere",
    }
    (tmp_path / "project").mkdir()
    variables |= {"HOME": str(tmp_path), "USER": "ann"}
    found = environment_in(containers, tmp_path / "project", **variables)
    assert found["PYTHONPATH"] == f"{tmp_path}/project/scripts"
    assert not {"PYTHONHOME", "VIRTUAL_ENV"} & found.keys()
    assert (found["HOME"], found["USER"]) == (str(tmp_path), "ann")


def test_the_conda_environment_takes_the_lock(repository, tmp_path, image):
    """With stand-ins for uv and for the environment that conda makes."""
    yaml_file = yaml.safe_load((repository / "envs" / "conda.yaml").read_text())
    assert not any(isinstance(entry, dict) for entry in yaml_file["dependencies"])
    root, calls, environment = image
    script = shutil.copy(repository / "envs" / "conda.post-deploy.sh", root / "envs")
    prefix = tmp_path / "conda"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    environment |= {"CONDA_PREFIX": str(prefix)}
    done = subprocess.run(
        ["bash", script], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (
        f"pip install --no-deps --require-hashes --compile-bytecode --python {prefix}/bin/python"
        " -r envs/main.txt -r envs/dev.txt" in calls.read_text()
    )
    (path_file,) = prefix.rglob("robustvit-scripts.pth")
    assert path_file.read_text().strip() == f"{root}/scripts"


def test_the_conda_script_names_the_lock(repository):
    digest = hashlib.sha256((repository / "envs" / "main.txt").read_bytes()).hexdigest()
    assert f"\nlock={digest}\n" in (repository / "envs" / "conda.post-deploy.sh").read_text()


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda root: (root / "envs/main.txt").unlink(), "there is no envs/main.txt here"),
        (lambda root: None, "no conda environment with a Python is active"),
    ],
)
def test_the_conda_script_says_what_is_missing(repository, image, prepare, said):
    root, _, environment = image
    script = shutil.copy(repository / "envs" / "conda.post-deploy.sh", root / "envs")
    prepare(root)
    done = subprocess.run(
        ["bash", script], cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1 and said in done.stderr
