"""A shard whose images are all misclassified already leaves the attacks nothing to do."""

import pytest
import torch
from timm.models.xcit import Xcit

from robustvit.attacks.support.outcome import ignore_report
from robustvit.core.plugins import load


@pytest.mark.parametrize("name", ["autoattack", "apgd_ce", "pgd"])
def test_no_image_left_to_attack(name):
    torch.manual_seed(0)
    # XCiT refuses an empty batch, as many real models do
    model = Xcit(img_size=16, patch_size=8, embed_dim=16, depth=1, num_heads=2, num_classes=5)
    model.eval()
    images = torch.rand(3, 3, 16, 16)
    labels = (model(images).argmax(dim=1) + 1) % 5
    outcomes = load("robustvit.attacks", name).run(
        model,
        images,
        labels,
        epsilon=8 / 255,
        norm="linf",
        seeds=torch.arange(3),
        num_classes=5,
        options={},
        batch_size=2,
        report=ignore_report,
    )
    if name != "pgd":  # PGD reports on every image, the ensemble on what stands
        assert not any(outcome.ran.any() for outcome in outcomes.values())
    for outcome in outcomes.values():
        assert (outcome.adversarial - images).abs().max() <= 8 / 255 + 1e-6
