"""Weights and models of others: four ways in, and what is refused."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from robustvit.core.errors import UserError
from robustvit.core.sources import SCRIPTS, code_digest, code_inputs
from robustvit.models.entry_points import model_plugins
from robustvit.models.factory import build_model
from robustvit.models.families.robustbench import file_names
from robustvit.models.imported import import_model
from robustvit.models.weights import load_weights, save_weights

FUNCTIONS = """
import torch
from torch import nn
from sizes import WIDTH

class Wrapped(nn.Module):
    def __init__(self, change):
        super().__init__()
        self.layer, self.change = nn.Linear(3 * 8 * 8, WIDTH), change

    def forward(self, x):
        return self.change(self.layer(x.flatten(1)))

def good(scale=1.0): return Wrapped(lambda y: y * scale)
def asked(num_classes, image_size): return nn.Sequential(
    nn.Flatten(), nn.Linear(3 * image_size**2, num_classes))
def pair(): return Wrapped(lambda y: (y, y))
def table(): return Wrapped(lambda y: {"logits": y})
def broken(): return Wrapped(lambda y: y / 0 * 0)
def flat(): return Wrapped(lambda y: y.flatten())
def maps(): return Wrapped(lambda y: y[:, :, None])
def many(): return Wrapped(lambda y: torch.cat([y, y], 1))
def nothing(): return {"weights": 3}
number = 3
ready = good()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "my_models.py").write_text(FUNCTIONS)
    (tmp_path / "sizes.py").write_text("WIDTH = 5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("sizes", None)


def function(name, **args):
    return {"family": "python", "args": {"entry": f"my_models.py:{name}", **args}}


def described(model, size=8, classes=5):
    return {"name": "mine", "num_classes": classes, "image_size": size, "patch_size": None,
            "drop_path": 0.0, "normalization": None, **model}  # fmt: skip


def imported(model, url=None, sha256=None, mirrors=(), record=None, **changes):
    spec = {"checkpoint": "mine", "url": url, "sha256": sha256, "mirrors": list(mirrors)}
    return import_model(spec | {"model": described(model, **changes)}, record)


# --- functions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["good", "asked", "ready"])
def test_a_function_builds_the_model_and_its_weights_are_kept(folder, name):
    model, source = imported(function(name))
    assert not model.training and source["checked"] == "as built" and source["files"] == {}
    save_weights("weights.safetensors", model, {})
    again = build_model(described(function(name)), seed=1).eval()
    load_weights(again, "weights.safetensors")
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(again(images), model(images))


def test_a_function_gets_its_keywords_and_a_file_its_weights(folder):
    save_file({"layer.weight": torch.ones(5, 192), "layer.bias": torch.zeros(5)}, "w.safetensors")
    model, source = imported(function("good", scale=2.0), "file:w.safetensors")
    assert model(torch.ones(1, 3, 8, 8))[0, 0].item() == 2 * 192
    assert list(source["files"]) == ["w.safetensors"]


def test_a_function_of_a_package(folder):
    (folder / "some_package").mkdir()
    (folder / "some_package" / "models.py").write_text("from my_models import good as build\n")
    model = {"family": "python", "args": {"entry": "some_package.models:build"}}
    imported(model)
    assert "some_package/models.py" in model_plugins(model)
    model["args"]["entry"] = "some_package.models:bild"
    with pytest.raises(UserError, match='Did you mean "build"'):
        imported(model)
    installed = {"family": "python", "args": {"entry": "timm.models:resnet10"}}
    with pytest.raises(UserError, match='Did you mean "resnet10t"'):
        imported(installed)
    for name in ("some_package.models", "some_package", "my_models"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pair", "returns tuple; expected one tensor of logits"),
        ("table", "returns dict"),
        ("broken", "logits of 2 of 2 images are not finite"),
        ("flat", r"returns the shape \[10\] for 2 images"),
        ("maps", r"returns the shape \[2, 5, 1\]"),
        ("many", "has 10 classes, but its data set has 5"),
        ("nothing", "returned dict, expected a torch.nn.Module"),
        ("number", "is no function but int"),
        ("goood", 'Did you mean "good"'),
    ],
)
def test_what_is_no_classifier_is_refused(folder, name, expected):
    with pytest.raises(UserError, match=expected):
        imported(function(name))


def test_images_of_another_size_are_explained(folder):
    with pytest.raises(UserError, match=r"fails on images \[2, 3, 9, 9\].*image_size"):
        imported(function("good"), size=9)


def test_keywords_that_a_function_does_not_take_are_named(folder):
    with pytest.raises(UserError, match=r"good\(scale=1.0\) does not take `args`"):
        imported(function("good", width=3))


def test_an_edit_of_the_function_or_what_it_imports_reruns(folder):
    names = model_plugins(function("good"))
    files = code_inputs("import_checkpoint.py", names)
    assert {str(folder / "my_models.py"), str(folder / "sizes.py")} <= set(files)
    assert str(SCRIPTS / "robustvit/models/families/python.py") in files
    before = code_digest("import_checkpoint.py", names)
    (folder / "sizes.py").write_text("WIDTH = 6\n")
    assert code_digest("import_checkpoint.py", names) != before


# --- files ---------------------------------------------------------------------------------------

RESNET = {"family": "timm", "args": {"model": "resnet10t"}}


@pytest.fixture
def resnet(folder):
    torch.manual_seed(0)
    network = timm.create_model("resnet10t", num_classes=5)
    torch.save(
        {"state_dict": {f"module.{k}": v for k, v in network.state_dict().items()}}, "r.pth.tar"
    )
    return network.eval()


def test_a_pth_file_and_timms_own_normalisation(resnet):
    model, _ = imported({**RESNET, "normalization": "own"}, "file:r.pth.tar", size=32)
    images = torch.rand(2, 3, 32, 32)
    config = timm.get_pretrained_cfg("resnet10t")
    mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (config.mean, config.std))
    torch.testing.assert_close(model(images), resnet((images - mean) / std))


def test_timms_weights_come_from_a_mirror(resnet, folder):
    config = timm.get_pretrained_cfg("resnet10t")
    mirror = folder / "mirror" / "checkpoints"
    mirror.mkdir(parents=True)
    save_file(resnet.state_dict(), mirror / f"resnet10t.{config.tag}.safetensors")
    _, source = imported(RESNET, "timm:resnet10t", mirrors=["mirror"], size=32)
    assert list(source["files"]) == [f"resnet10t.{config.tag}.safetensors"]


def test_another_architecture_says_which_keys_differ(resnet):
    other = {"family": "timm", "args": {"model": "resnet18"}}
    with pytest.raises(UserError, match=r"does not fit ResNet\. Weights missing: .*layer"):
        imported(other, "file:r.pth.tar", size=32)


class Evil:
    def __reduce__(self):
        return os.system, ("touch ran",)


def test_a_pickle_that_runs_code_is_refused(folder):
    Path("evil.pth").write_bytes(pickle.dumps({"state_dict": Evil()}))
    torch.save({"state_dict": Evil()}, "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(UserError, match=r"refused|not a readable"):
            imported(RESNET, f"file:{name}", size=32)
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:none.pth", "there is no file none.pth"),
        ("mirror:none.pth", "none.pth is in none of the folders"),
        ("timm:resnet10", "timm has no released weights"),
        ("ftp:none.pth", "is not understood"),
        (None, r"checkpoints\.mine\.url: is missing"),
    ],
)
def test_weights_that_are_nowhere(folder, url, expected):
    with pytest.raises(UserError, match=expected):
        imported(RESNET, url, size=32)


def test_a_wrong_hash_is_refused(resnet):
    with pytest.raises(UserError, match="SHA-256"):
        imported(RESNET, "file:r.pth.tar", sha256="0" * 64, size=32)


def test_a_hash_that_nobody_published_is_held_to_its_first_use(resnet, folder):
    record = folder / "first_uses" / "mine.json"
    _, first = imported(RESNET, "file:r.pth.tar", record=record, size=32)
    assert first["checked"] == "first use" and json.loads(record.read_text())["first_used"]
    _, second = imported(RESNET, "file:r.pth.tar", record=record, size=32)
    assert second == first
    torch.save(timm.create_model("resnet10t", num_classes=5).state_dict(), "r.pth.tar")
    with pytest.raises(UserError, match=r"when it was first used.*delete .*mine\.json"):
        imported(RESNET, "file:r.pth.tar", record=record, size=32)
    _, third = imported(
        RESNET, "file:r.pth.tar", sha256=hashed("r.pth.tar"), record=record, size=32
    )
    assert third["checked"] == "configuration"


def hashed(name):
    from robustvit.core.files import sha256

    return sha256(name)


def test_tied_weights_are_saved(folder):
    first = nn.Linear(4, 4)
    model = nn.Sequential(first, nn.ReLU(), first)
    save_weights("tied.safetensors", model, {})
    state = load_file("tied.safetensors")
    assert torch.equal(state["0.weight"], state["2.weight"])


# --- RobustBench's zoo: a process of its own, its imports take seconds ---------------------------

ZOO = """
import sys, torch
from pathlib import Path
from robustvit.models.zoo import import_robustbench
package = import_robustbench()
import autoattack, autoattack.state
from robustbench.model_zoo import model_dicts
from robustbench.model_zoo.enums import BenchmarkDataset, ThreatModel
from robustvit.core.errors import UserError
from robustvit.models.imported import import_model
from robustvit.models.factory import build_model
from robustvit.models.weights import load_weights, save_weights
from robustvit.models.zoo import THREATS, zoo_names

for dataset, threats in model_dicts.items():
    for threat, models in threats.items():
        assert tuple(models) == zoo_names(dataset.value, threat.value), (dataset, threat)

torch.manual_seed(0)
name = "Hendrycks2020AugMix_WRN"
entry = model_dicts[BenchmarkDataset.cifar_10][ThreatModel.corruptions][name]
state = entry["model"]().state_dict()
state = {f"module.{k}": v for k, v in state.items() if k not in ("mu", "sigma")}
place = Path("mirror/checkpoints/cifar10/corruptions")
place.mkdir(parents=True)
torch.save({"state_dict": state}, place / f"{name}.pt")
args = {"model": name, "dataset": "cifar10", "threat": "corruptions"}
model = {"name": "z", "family": "robustbench", "args": args, "num_classes": 10, "image_size": 32,
         "patch_size": None, "drop_path": 0.0, "normalization": None}
spec = {"checkpoint": "z", "url": None, "sha256": None, "mirrors": ["mirror"], "model": model}
ours, source = import_model(spec, Path("first.json"))
assert list(source["files"]) == [f"{name}.pt"] and source["checked"] == "first use"
theirs = package.load_model(name, "mirror/checkpoints", "cifar10", "corruptions")
images = torch.rand(2, 3, 32, 32)
assert torch.equal(ours(images), theirs(images))
save_weights("w.safetensors", ours, {})
again = build_model(model, seed=1).eval()
load_weights(again, "w.safetensors")
assert torch.equal(again(images), theirs(images))

pointed, _ = import_model({**spec, "url": f"file:{place}/{name}.pt"}, None)
assert torch.equal(pointed(images), theirs(images))

import timm
registered = timm.create_model("debenedetti2022light_xcit_s12_cifar10_linf", num_classes=10).eval()
released = "mirror/checkpoints/debenedetti2022light-xcit-s-cifar10-linf.pth.tar"
torch.save({"model": registered.model.state_dict()}, released)
light = {"model": "Debenedetti2022Light_XCiT-S12", "dataset": "cifar10", "threat": "Linf"}
ours, source = import_model({**spec, "model": {**model, "args": light}}, None)
assert torch.equal(ours(images), registered(images)) and source["checked"] is None

class Evil:
    def __reduce__(self):
        return exec, ("open('ran', 'w')",)

torch.save({"state_dict": Evil()}, place / f"{name}.pt")
missing = f"checkpoints/cifar10/corruptions/{name}.pt"
for change, expected in (({}, "refused"), ({"mirrors": []}, missing)):
    try:
        import_model({**spec, **change}, None)
        raise SystemExit("not refused")
    except UserError as error:
        assert expected in str(error), error
assert not Path("ran").exists()
"""


@pytest.mark.slow
def test_the_zoo_is_built_and_loaded_as_robustbench_does(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS)}
    # No network is asked: the files of others are not here, and the test must not depend on it.
    environment |= {"https_proxy": "http://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-W", "ignore", "-c", ZOO]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_ensembles_have_a_file_for_each_part():
    args = {"model": "Chen2020Adversarial"}
    assert file_names(args, ["a", "b"])[1] == "Chen2020Adversarial.pt_m1.pt"
    assert file_names(args, "a") == ["Chen2020Adversarial.pt"]
