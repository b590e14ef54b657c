"""On the same images, weights and draws, RobustBench gives the same verdict on every example."""

import argparse
import types

import numpy as np
import pytest
import torch
from PIL import Image

import compare_robustbench
from robustvit.data.evaluation_images import eval_transform
from robustvit.data.imagenet_labels import choose_synsets, robustbench_files
from robustvit.evaluation.parity import library_verdicts, our_verdicts
from robustvit.evaluation.shards import load_model, predict
from robustvit.models.importing import checkpoint_file
from robustvit.models.zoo import import_robustbench
from robustvit.training.devices import open_device

pytestmark = pytest.mark.slow
OPTIONS = {"iterations": 3, "queries": 15, "targets": 2}


@pytest.fixture(scope="module")
def resnet():
    """The real CIFAR-10 ResNet-18 that pyautoattack ships: 94% clean, no robustness at 8/255."""
    with checkpoint_file(compare_robustbench.WEIGHTS, None) as path:
        return load_model(compare_robustbench.RESNET, path, open_device("cpu", 1))


def clear_images(model, count):
    """Smooth images on which the model's confidence varies, with the model's own labels."""
    generator = torch.Generator().manual_seed(5)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    images = torch.nn.functional.interpolate(coarse, size=(32, 32), mode="bilinear").contiguous()
    return images, predict(model, images, 64).argmax(1)


def test_every_verdict_of_robustbench_is_ours(resnet):
    images, labels = clear_images(resnet, 8)
    labels[3] = (labels[3] + 1) % 10  # one that is wrong from the start
    shared = {"epsilon": 0.5 / 255, "batch_size": 5, "options": OPTIONS}
    library, accuracy = library_verdicts(resnet, images, labels, seed=7, **shared)
    ours = our_verdicts(resnet, images, labels, torch.arange(8), library_seed=7, **shared)
    assert list(library) == list(ours) == ["clean", "apgd-ce", "apgd-t", "fab-t", "square"]
    for name, verdict in library.items():
        assert torch.equal(ours[name], verdict), name
    assert accuracy["clean"] == 7 / 8  # robustbench.utils.clean_accuracy
    assert accuracy["robust"] == library["square"].float().mean().item()
    assert 0 < int(library["square"].sum()) < 7  # some stand, some fall


def test_table_counts_what_differs(monkeypatch):
    stands = torch.tensor([True, True, False])
    falls = torch.tensor([True, False, False])
    shares = {"clean": 1.0, "robust": 0.5}
    monkeypatch.setattr(
        compare_robustbench, "library_verdicts", lambda *a, **k: ({"square": stands}, shares)
    )
    monkeypatch.setattr(
        compare_robustbench,
        "our_verdicts",
        lambda *a, library_seed, **k: {"square": falls if library_seed is None else stands},
    )
    shard = types.SimpleNamespace(images=torch.rand(3, 3, 2, 2), labels=stands, seeds=None)
    settings = {"epsilon_255": 1, "batch_size": 2, "seed": 0, **OPTIONS}
    text = compare_robustbench.compare(None, shard, argparse.Namespace(**settings))
    assert "| square | 2 | 2 | 0 | 1 | 1 |" in text and "robust 50.00%" in text


@pytest.mark.parametrize(
    ("name", "size", "crop", "interpolation"),
    [
        ("Res256Crop224", 224, 0.875, "bilinear"),
        ("BicubicRes256Crop224", 224, 0.875, "bicubic"),
        (None, 32, 1.0, "bicubic"),
    ],
)
def test_images_are_those_of_robustbench(name, size, crop, interpolation):
    preprocessings = import_robustbench("robustbench.data").PREPROCESSINGS
    generator = np.random.default_rng(0)
    shape = (32, 32, 3) if name is None else (375, 500, 3)
    image = generator.integers(0, 256, shape, np.uint8)
    spec = {"image_size": size, "crop_pct": crop, "interpolation": interpolation}
    ours = torch.as_tensor(eval_transform(spec)(image))
    assert torch.equal(ours, preprocessings[name](Image.fromarray(image)))


def test_the_5000_are_robustbenchs_with_its_labels(tmp_path):
    loaders = import_robustbench("robustbench.loaders")
    synsets = choose_synsets("imagenet1k")
    for synset in synsets:
        (tmp_path / synset).mkdir()
    theirs = loaders.CustomImageFolder(str(tmp_path)).samples
    assert len(theirs) == 5000
    ours = [(f"{tmp_path}/{s}/{name}", synsets.index(s)) for s, name in robustbench_files()]
    assert sorted(ours) == sorted(theirs)
