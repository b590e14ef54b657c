"""Loading: the same batches for any number of workers and hosts, from any position, in time."""

from __future__ import annotations

import statistics
import time
from collections import Counter

import pytest
import torch
from training_samples import train_spec

from robustvit.benchmarks.layouts import write_layouts
from robustvit.benchmarks.photographs import photographs
from robustvit.benchmarks.readers import project
from robustvit.benchmarks.starving import waiting
from robustvit.data.reading import TfdsImages
from robustvit.training.loading import train_loader
from robustvit.training.sampling import BatchSchedule
from robustvit.training.sharing import Share

COUNT, BATCH = 96, 16


def positions(rank: int, hosts: int, start: int = 0) -> list[list]:
    schedule = BatchSchedule(range(COUNT), BATCH, epochs=2, seed=5, start=start)
    return list(Share(BATCH, rank=rank, world_size=hosts).of(schedule))


@pytest.mark.parametrize("hosts", [1, 2, 4, 8])
def test_every_example_comes_once_an_epoch_whatever_the_number_of_hosts(hosts):
    steps = COUNT // BATCH
    for epoch in range(2):
        own = [positions(rank, hosts)[epoch * steps : (epoch + 1) * steps] for rank in range(hosts)]
        used = Counter(key.index for batches in own for batch in batches for key in batch)
        assert used == Counter(range(COUNT))
    whole = positions(0, 1)
    for step, batch in enumerate(whole):
        shared = [key for rank in range(hosts) for key in positions(rank, hosts)[step]]
        assert sorted(shared) == sorted(batch)


@pytest.mark.parametrize("start", [1, 5, 6, 11])
def test_other_hosts_go_on_where_one_was_stopped(start):
    whole = positions(0, 1)
    resumed = [positions(rank, 4, start) for rank in range(4)]
    for step, batch in enumerate(whole[start:]):
        assert sorted(key for own in resumed for key in own[step]) == sorted(batch)


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_change_nothing(make_plan, workers):
    spec = train_spec(augmentation={"color_jitter": 0.4, "random_erasing": 0.5})
    plan = make_plan(spec)
    alone = list(train_loader(plan.data.train, plan.batches_from(2), 0))
    helped = list(train_loader(plan.data.train, plan.batches_from(2), workers))
    assert len(alone) == len(helped) == plan.total_steps - 2
    for one, other in zip(alone, helped, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    write_layouts(list(photographs(64, None, None)), folder)
    return folder


def test_images_are_read_by_index_in_any_order(photos):
    data = TfdsImages(photos / "tfds" / "manifest.json", project.SPEC)
    files = sorted((photos / "classes").rglob("*.jpg"), key=lambda path: path.name)
    for index in (63, 0, 31, 1, 63):
        assert data.encoded([index])[0] == files[int(data.ids[index][-5:])].read_bytes()


def test_a_step_that_takes_longer_than_loading_does_not_wait(photos):
    batches = project.batches(photos, "train", 64)
    next(batches)
    needed = []
    for _ in range(3):
        started = time.perf_counter()
        next(batches)
        needed.append(time.perf_counter() - started)
    step = 3 * statistics.median(needed)  # without loading ahead, a third of it would be waiting
    manifest = photos / "tfds" / "manifest.json"
    found = waiting(manifest, step, workers=1, batch_size=64, steps=7, skip=3)
    assert found.least < 0.15 * step  # other work on the machine only lengthens single waits
