"""Order of examples, mixing, averaging, and the metadata of outputs."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import nn
from training_samples import RECIPE

from robustvit.training.ema import AveragedModel
from robustvit.training.mixing import build_mixing, mix
from robustvit.training.sampling import REAL, BatchSchedule


def _keys(**options: object) -> list:
    return list(BatchSchedule(range(10, 30), batch_size=6, epochs=3, seed=1, **options))


def test_an_epoch_is_a_permutation_without_the_last_incomplete_batch():
    batches = _keys()
    assert len(batches) == 9
    for epoch in range(3):
        keys = [key for batch in batches[3 * epoch : 3 * epoch + 3] for key in batch]
        used = [key.index for key in keys]
        assert {(key.epoch, key.copy, key.source) for key in keys} == {(epoch, 0, REAL)}
        assert len(set(used)) == 18
        assert set(used) <= set(range(10, 30))
    assert batches[:3] != batches[3:6]


def test_a_schedule_from_the_middle_goes_on_where_it_was():
    for start in range(9):
        assert _keys(start=start) == _keys()[start:]


def test_the_order_does_not_depend_on_the_batch_size():
    small = BatchSchedule(range(24), 4, 1, seed=3)
    large = BatchSchedule(range(24), 12, 1, seed=3)
    assert list(itertools.chain(*small)) == list(itertools.chain(*large))


def test_mixing_depends_on_its_seed_and_leaves_numpy_alone():
    recipe = {**RECIPE, "augmentation": {**RECIPE["augmentation"], "mixup": 0.8, "cutmix": 1.0}}
    mixing = build_mixing(recipe, num_classes=4)
    images, labels = torch.rand(8, 3, 4, 4), torch.arange(8) % 4
    np.random.seed(0)
    expected = np.random.rand()
    np.random.seed(0)
    first, targets = mix(mixing, images.clone(), labels, seed=5)
    assert np.random.rand() == expected
    again, _ = mix(mixing, images.clone(), labels, seed=5)
    other, _ = mix(mixing, images.clone(), labels, seed=6)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.allclose(targets.sum(dim=1), torch.ones(8))


def test_the_average_follows_its_formula():
    model = nn.BatchNorm1d(3)
    average = AveragedModel(model, decay=0.9)
    with torch.no_grad():
        model.weight.fill_(2.0)
        model.num_batches_tracked.fill_(5)
    average.update(model)
    assert torch.allclose(average.model.weight, torch.full((3,), 0.9 * 1.0 + 0.1 * 2.0))
    assert average.model.num_batches_tracked.item() == 5
    assert not average.model.weight.requires_grad
