"""torchvision's ImageFolder with its usual transforms, up to a batch of bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import default_loader

BICUBIC = transforms.InterpolationMode.BICUBIC
TRANSFORMS = {
    "train": [
        transforms.RandomResizedCrop(224, interpolation=BICUBIC),
        transforms.RandomHorizontalFlip(),
    ],
    "evaluation": [transforms.Resize(256, BICUBIC), transforms.CenterCrop(224)],
}


def batches(
    folder: Path, transform: str, batch_size: int, loader: Callable = default_loader
) -> Iterator[int]:
    """Yield the number of images of each batch."""
    torch.set_num_threads(1)
    steps = transforms.Compose([*TRANSFORMS[transform], transforms.PILToTensor()])
    images = ImageFolder(str(folder / "classes"), steps, loader=loader)
    while True:
        for batch, _ in torch.utils.data.DataLoader(
            images, batch_size, shuffle=transform == "train", drop_last=True
        ):
            yield len(batch)
