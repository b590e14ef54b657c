"""Cutting a global batch: every example once, pairs together, whatever the number of processes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from training_samples import train_spec

from robustvit.core.errors import UserError
from robustvit.training.batch_statistics import PartStatistics, part_statistics
from robustvit.training.contracts import Batch, LossOutput
from robustvit.training.portable_norm import PortableBatchNorm, use_portable_norm
from robustvit.training.sharing import Share, symmetric_slice
from robustvit.training.tallies import Tallies

counts = st.sampled_from([1, 2, 4, 8])


@given(parts=counts, world=counts, together=st.booleans(), times=st.integers(1, 3))
def test_processes_take_every_example_once_and_keep_pairs(parts, world, together, times):
    size = 2 * 64 * times
    shares = [Share(size, parts, rank, world, together) for rank in range(world)]
    taken = np.concatenate([share.positions for share in shares])
    assert sorted(taken) == list(range(size))
    for share in shares:
        for piece in np.split(share.positions, share.pieces):
            assert (piece + piece[::-1] == size - 1).all()


@given(parts=counts, world=counts, together=st.booleans())
def test_a_part_holds_the_same_examples_for_any_number_of_processes(parts, world, together):
    size = 128
    held = [set() for _ in range(parts)]
    for rank in range(world):
        share = Share(size, parts, rank, world, together)
        pieces = np.split(share.positions, share.pieces)
        for index, piece in zip(share.slice_indices, pieces, strict=True):
            held[index // share.sharing].update(piece.tolist())
    assert held == [set(symmetric_slice(size, part, parts).tolist()) for part in range(parts)]


def test_the_share_of_one_process_is_the_batch_itself():
    batches = [[3, 1, 2], [5, 4, 0]]
    assert list(Share(3).of(batches)) == batches
    assert len(Share(3).of(batches)) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 12, "parts": 3, "world_size": 2}, "recipe.accumulation 3 and 2 processes"),
        ({"batch_size": 18, "parts": 1, "world_size": 4}, "use a multiple of 8, for instance 16"),
    ],
)
def test_a_batch_that_cannot_be_cut_is_answered_with_the_key(settings, message):
    with pytest.raises(UserError, match=message):
        Share(**settings)


def test_pieces_of_a_batch_with_several_views_hold_all_views_of_their_images():
    names = torch.arange(16)  # two views of eight images
    pieces = Batch(names[:, None], names % 8, names).split(2, views=2)
    assert pieces[0].images.flatten().tolist() == [0, 1, 2, 3, 8, 9, 10, 11]
    assert pieces[1].targets.tolist() == [4, 5, 6, 7, 4, 5, 6, 7]


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))


def _feed(statistics: PartStatistics, network: nn.Module, parts: list[torch.Tensor]) -> None:
    statistics.begin_step()
    for part in parts:
        network(part)
        network(part * 2)  # a loss may pass a part twice, as TRADES does
        statistics.end_part()
    statistics.end_step()


def test_running_statistics_end_as_if_the_parts_had_come_one_after_the_other():
    parts = [torch.randn(6, 3, 8, 8) + shift for shift in range(4)]
    plain, cut = _network(), _network()
    for part in parts:
        plain(part)
        plain(part * 2)
    _feed(part_statistics(cut, Share(32, parts=4), lambda value: value), cut, parts)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(cut.state_dict()[name], value)


def test_running_statistics_of_two_processes_are_put_together_in_order():
    parts = [torch.randn(6, 3, 8, 8) + shift for shift in range(4)]
    alone, own = _network(), [_network(), _network()]
    _feed(PartStatistics(alone), alone, parts)
    sums: list[torch.Tensor] = []

    def collect(value: torch.Tensor) -> torch.Tensor:
        sums.append(value)
        return value

    for rank in (0, 1):
        _feed(PartStatistics(own[rank], rank, 2, collect), own[rank], parts[2 * rank :][:2])
    network = _network()
    last = PartStatistics(network, 1, 2, lambda value: value + sums[0])
    _feed(last, network, parts[2:])
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], value)


def test_during_a_step_every_part_starts_from_the_same_statistics():
    network = _network()
    statistics = PartStatistics(network)
    statistics.begin_step()
    before = network[1].running_mean.clone()
    network(torch.randn(4, 3, 8, 8) + 5)
    assert not torch.equal(network[1].running_mean, before)
    statistics.end_part()
    assert torch.equal(network[1].running_mean, before)


def test_statistics_without_a_momentum_cannot_be_cut():
    with pytest.raises(UserError, match="momentum"):
        PartStatistics(nn.Sequential(nn.BatchNorm2d(3, momentum=None)))


@pytest.mark.parametrize("training", [True, False])
def test_the_portable_norm_is_batch_norm(training):
    native, portable = _network().train(training), use_portable_norm(_network()).train(training)
    assert isinstance(portable[1], PortableBatchNorm)
    images = [torch.randn(8, 3, 8, 8, generator=torch.Generator().manual_seed(1)) for _ in "ab"]
    for image in images:
        image.requires_grad_(True)
    results = [net(image) for net, image in zip((native, portable), images, strict=True)]
    for result in results:
        (result**3).sum().backward()
    torch.testing.assert_close(results[0], results[1])
    torch.testing.assert_close(images[0].grad, images[1].grad, rtol=1e-4, atol=1e-4)
    assert native.state_dict().keys() == portable.state_dict().keys()
    for name, value in native.state_dict().items():
        torch.testing.assert_close(portable.state_dict()[name], value)
    for ours, theirs in zip(portable.parameters(), native.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-3, atol=1e-3)


def test_a_norm_that_has_no_portable_form_is_named():
    with pytest.raises(UserError, match="layer 0 is a BatchNorm1d"):
        use_portable_norm(nn.Sequential(nn.BatchNorm1d(3)))


def _tallies() -> Tallies:
    tallies = Tallies()
    batch = Batch(torch.zeros(8, 3, 2, 2), torch.zeros(8, dtype=torch.int64), torch.arange(8))
    tallies.add(batch, LossOutput(torch.tensor(2.0), {"adversarial": torch.zeros(8, 4)}))
    return tallies


def test_sums_of_a_resumed_epoch_count_once_and_have_the_same_names_in_every_process():
    state = _tallies().state()
    main, other = (Tallies.from_state(state, torch.device("cpu"), share) for share in (1.0, 0.0))
    assert main.sums.keys() == other.sums.keys()
    sent = []

    def total(value: torch.Tensor) -> torch.Tensor:
        sent.append(value)
        return sum(sent)

    other.reduced(total)
    together = main.reduced(total)
    assert sent[0].shape == sent[1].shape
    assert together.examples() == 8
    assert together.mean_loss() == 2.0
    assert together.accuracy("adversarial") == 1.0


@pytest.mark.parametrize(("count", "processes"), [(16, 1), (17, 4), (3, 4)])
def test_every_process_may_stop_equally_often_in_an_evaluation(count, processes, make_plan):
    asked = set()
    for rank in range(processes):
        plan = make_plan(train_spec(evaluate_examples=None, batch_size=16))
        plan.data = replace(plan.data, evaluation_indices=np.arange(count))
        plan.device = replace(plan.device, rank=rank, world_size=processes)
        checks = []
        batches = plan.evaluation_context(None, lambda checks=checks: checks.append(1)).batches
        assert sum(len(labels) for _, labels, _ in batches) == len(range(rank, count, processes))
        asked.add(len(checks))
    assert len(asked) == 1
