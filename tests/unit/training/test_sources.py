"""Synthetic examples mixed at a ratio, and repeated augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from timm.data.distributed_sampler import RepeatAugSampler
from training_samples import synthetic, train_spec

from robustvit.core.errors import UserError
from robustvit.data.reading import TfdsImages
from robustvit.training.datasets import open_data
from robustvit.training.sampling import (
    REAL,
    SYNTHETIC,
    BatchSchedule,
    Key,
    Synthetic,
    synthetic_positions,
)
from robustvit.training.sharing import symmetric_slice


def mixed(examples: int = 1000, ratio: float = 0.5, **options: object) -> BatchSchedule:
    return BatchSchedule(range(20), 6, 2, 1, synthetic=Synthetic(examples, ratio), **options)


def of(source: int, batches: list[list[Key]]) -> list[Key]:
    return [key for batch in batches for key in batch if key.source == source]


@given(st.integers(1, 64), st.floats(0.01, 0.99))
def test_every_symmetric_part_has_an_equal_share(half, ratio):
    size = 2 * half
    count = round(ratio * size)
    assume(0 < count < size)
    chosen = synthetic_positions(size, ratio)
    assert chosen.sum() == count
    for parts in (p for p in range(1, half + 1) if half % p == 0):
        shares = [chosen[symmetric_slice(size, part, parts)].sum() for part in range(parts)]
        assert max(shares) - min(shares) <= 1


def test_half_and_half_is_real_first_as_in_the_released_code():
    assert synthetic_positions(8, 0.5).tolist() == 4 * [False] + 4 * [True]


@pytest.mark.parametrize("ratio", [0.01, 0.99])
def test_a_ratio_that_leaves_one_kind_out_is_refused(ratio):
    with pytest.raises(UserError, match=r"synthetic\.ratio"):
        synthetic_positions(16, ratio)


def test_an_epoch_lasts_as_long_as_the_shorter_source():
    assert mixed().steps_per_epoch == 20 // 3
    assert mixed(examples=10).steps_per_epoch == 10 // 3
    assert mixed(ratio=2 / 3).steps_per_epoch == 20 // 2
    with pytest.raises(UserError, match="takes 3 examples of the synthetic images"):
        mixed(examples=2)


def test_each_source_has_its_own_order_without_repetition():
    batches = list(mixed())
    first, second = batches[:6], batches[6:]
    for epoch in (first, second):
        for source, size in ((REAL, 20), (SYNTHETIC, 1000)):
            used = [key.index for key in of(source, epoch)]
            assert len(set(used)) == len(used) == 18
            assert max(used) < size
    assert [key.index for key in of(SYNTHETIC, first)] != [k.index for k in of(SYNTHETIC, second)]


def test_the_real_order_is_that_without_synthetic_examples():
    alone = [key for batch in BatchSchedule(range(20), 3, 1, 1) for key in batch]
    assert of(REAL, list(mixed())[:6]) == alone
    other = BatchSchedule(range(20), 6, 2, 1, synthetic=Synthetic(1000, 1 / 3))
    assert of(SYNTHETIC, list(mixed()))[:8] == of(SYNTHETIC, list(other))[:8]


def test_a_mixed_schedule_goes_on_where_it_was():
    for options in ({"ratio": 1 / 3}, {"ratio": 1 / 3, "repeats": 2}):
        whole = list(mixed(**options))
        for start in range(len(whole)):
            assert list(mixed(start=start, **options)) == whole[start:]


@pytest.mark.parametrize("repeats", [1, 2, 3])
def test_repetitions_are_those_of_timm(repeats):
    size = 20
    ours = BatchSchedule(range(size), 5, 1, seed=3, repeats=repeats)
    used = [key for batch in ours for key in batch]
    timm = RepeatAugSampler(
        range(size), num_replicas=1, rank=0, num_repeats=repeats, selected_round=0
    )
    drawn = list(timm)
    assert len(used) == len(drawn) == size
    # The permutations differ; the pattern of repetitions is the same.
    first_seen = {index: place for place, index in reversed(list(enumerate(drawn)))}
    pattern = [first_seen[index] for index in drawn]
    firsts = {key.index: place for place, key in reversed(list(enumerate(used)))}
    assert [firsts[key.index] for key in used] == pattern
    assert [key.copy for key in used] == [place % repeats for place in range(size)]


def batch_of(make_plan, spec: dict, step: int = 0) -> tuple:
    plan = make_plan(spec)
    keys = list(plan.schedule_from(0))[step]
    return keys, plan.data.train.__getitems__(keys)


def test_copies_of_an_example_are_augmented_and_attacked_differently(make_plan):
    spec = train_spec(augmentation={"repeats": 2})
    keys, (images, labels, seeds) = batch_of(make_plan, spec)
    assert keys[0].index == keys[1].index
    assert labels[0] == labels[1]
    assert len(set(seeds.tolist())) == len(keys)
    same = [torch.equal(images[i], images[i + 1]) for i in range(0, len(keys), 2)]
    assert sum(same) < len(same) / 2


def test_the_first_copy_is_what_it_is_without_repetition(make_plan):
    keys, (images, _, seeds) = batch_of(make_plan, train_spec(augmentation={"repeats": 2}))
    alone, (plain, _, plain_seeds) = batch_of(make_plan, train_spec())
    assert [key.index for key in keys[::2]] == [key.index for key in alone[:8]]
    assert torch.equal(images[::2], plain[:8])
    assert torch.equal(seeds[::2], plain_seeds[:8])


def test_batches_hold_the_images_and_labels_that_their_keys_name(make_plan, colours, drawn):
    spec = train_spec(augmentation={"crop": "none", "hflip": 0.0}) | synthetic(0.25)
    keys, (images, labels, seeds) = batch_of(make_plan, spec, step=1)
    files = {
        REAL: TfdsImages(colours, spec["dataset"]),
        SYNTHETIC: TfdsImages(drawn, spec["dataset"]),
    }
    assert [key.source for key in keys].count(SYNTHETIC) == 4
    for key, image, label in zip(keys, images, labels, strict=True):
        pixels, expected = files[key.source][key.index]
        assert label == expected
        assert np.array_equal(image.permute(1, 2, 0).numpy(), pixels)
    assert len(set(seeds.tolist())) == len(keys)


def test_only_synthetic_examples_of_the_same_classes_are_mixed_in(colours, drawn, monkeypatch):
    spec = train_spec() | synthetic()
    real = TfdsImages.__init__

    def renamed(self, manifest, read):
        real(self, manifest, read)
        if read["name"] == "drawn":
            self.classes = self.classes[::-1]

    monkeypatch.setattr(TfdsImages, "__init__", renamed)
    with pytest.raises(UserError, match=r"synthetic\.dataset: drawn has the classes grey"):
        open_data(spec, colours, colours, drawn)


@pytest.mark.parametrize("given_manifest", [True, False])
def test_the_setting_and_the_manifest_belong_together(given_manifest, colours, drawn):
    spec = train_spec() | ({} if given_manifest else synthetic())
    with pytest.raises(UserError, match="--synthetic-dataset"):
        open_data(spec, colours, colours, drawn if given_manifest else None)
