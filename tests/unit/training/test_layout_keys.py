"""The recipe's keys `channels_last` and `compile` reach the model that is trained."""

from __future__ import annotations

import torch
from training_samples import train_spec

from robustvit.training import run


def test_the_keys_reach_the_model(train, monkeypatch):
    asked, prepare = [], run.prepare_model

    def watched(model, channels_last, compile):
        asked.append((channels_last, compile))
        model = prepare(model, channels_last, compile)
        kernels = [p for p in model.parameters() if p.ndim == 4 and p.shape[1] > 1]
        asked.append({p.is_contiguous(memory_format=torch.channels_last) for p in kernels})
        return model

    monkeypatch.setattr(run, "prepare_model", watched)
    ordered = train(train_spec(epochs=1, channels_last=True)).rows[0]
    assert asked == [(True, False), {True}]
    plain = train(train_spec(epochs=1)).rows[0]
    assert asked[2] == (False, False)
    assert abs(ordered["train_loss"] - plain["train_loss"]) < 1e-3
