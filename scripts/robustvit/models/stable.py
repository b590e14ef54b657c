"""Answers of a model that do not depend on how images are put together into batches.

Libraries choose their kernels by the size of a batch, and kernels differ in the order of sums: an
image's logits and gradient differ in the last bits between a batch of 3 and one of 16. An attack
multiplies that over its steps, so that the batch size, the number of shards and the fate of the
other images would decide which adversarial image is found, and now and then whether one is.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

REFERENCE = {"cpu": 8, "cuda": 64}  # large enough to be quick
SHIFT = 3  # by which the images of a second probe are moved
State = tuple[bool, tuple[int, ...]]


class StableRows(nn.Module):
    """A frozen model whose answer for an image is the same, to the last bit, in any batch.

    A size of batch is used as it is if it gives made-up images the very logits and gradients that
    a batch of the reference size gives them, which is tried out when the size comes back.
    Otherwise the batch is cut into batches of the reference size, the last one filled up with
    copies of its images. That depends on the model and on the device, never on the images of a
    shard, so all shards decide alike.

    Args:
        inner: frozen model in evaluation mode, images [B, 3, H, W] to logits [B, K].
        shape: of one image, (3, H, W).

    Attributes:
        stable: false once the reference size itself was seen to depend on an image's place in the
            batch, or on nothing at all: then batches are left as they come.
    """

    def __init__(self, inner: nn.Module, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.inner, self.stable, self.training = inner, True, inner.training
        random = torch.Generator().manual_seed(0)  # the same images in every process
        self._images = torch.rand((max(REFERENCE.values()) + SHIFT, *shape), generator=random)
        self._expected: dict[State, tuple[Tensor, ...]] = {}
        self._usable: dict[tuple[State, int], bool | None] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W]."""
        images = images.contiguous()
        state = self._state(images)
        reference = REFERENCE.get(images.device.type, 64)
        if not self._reproducible(state, reference, images) or self._same(state, len(images)):
            return self.inner(images)
        return torch.cat([self._padded(state, x, reference) for x in images.split(reference)])

    def _padded(self, state: State, images: Tensor, reference: int) -> Tensor:
        """Run a batch of the reference size or less."""
        count = len(images)
        if count == reference or self._same(state, count):
            return self.inner(images)
        # Detached: what is thrown away gives no gradient.
        copies = images.detach().repeat(-(-reference // count), 1, 1, 1)[count:reference]
        return self.inner(torch.cat([images, copies]))[:count]

    def _state(self, images: Tensor) -> State:
        """What else decides which kernels run: gradients, and the layers that an attack folds."""
        folded = (n for n, m in enumerate(self.inner.modules()) if "forward" in m.__dict__)
        return torch.is_grad_enabled() and images.requires_grad, tuple(folded)

    def _reproducible(self, state: State, reference: int, like: Tensor) -> bool:
        """Whether the reference size can be relied on; remember its answers."""
        if self.stable and state not in self._expected:
            images = self._images.to(like)
            expected = self._probe(state, images[:reference])
            # The same images in other places, and others beside them.
            moved = self._probe(state, images[SHIFT : SHIFT + reference])
            self._expected[state], self._usable[state, reference] = expected, True
            pairs = zip(expected, moved, strict=True)
            self.stable = all(torch.equal(a[SHIFT:], b[:-SHIFT]) for a, b in pairs)
        return self.stable

    def _same(self, state: State, size: int) -> bool:
        """Whether a batch of `size` is known to give every image the reference's answers."""
        if (state, size) not in self._usable:
            self._usable[state, size] = None  # a size that occurs once is not worth the trial
        elif self._usable[state, size] is None:
            self._usable[state, size] = self._compare(state, size)
        return bool(self._usable[state, size])

    def _compare(self, state: State, size: int) -> bool:
        expected = self._expected[state]
        places = (torch.arange(size) + SHIFT) % len(expected[0])
        found = self._probe(state, self._images[places].to(expected[0]))
        places = places.to(expected[0].device)
        return all(torch.equal(a[places], b) for a, b in zip(expected, found, strict=True))

    def _probe(self, state: State, images: Tensor) -> tuple[Tensor, ...]:
        """Logits of `images`, and the gradients of their cross-entropy if the state has them."""
        if not state[0]:
            with torch.no_grad():
                return (self.inner(images).detach().clone(),)
        with torch.enable_grad():
            point = images.clone().requires_grad_(True)
            logits = self.inner(point)
            if not logits.requires_grad:
                return (logits.detach(),)
            loss = F.cross_entropy(logits.float(), logits.argmin(dim=1), reduction="sum")
            (gradient,) = torch.autograd.grad(loss, point)
        return logits.detach(), gradient
