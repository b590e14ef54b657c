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
    shard, so all shards decide alike. A reference size that a GPU's memory does not hold is halved.

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
        self._reference: int | None = None
        random = torch.Generator().manual_seed(0)  # the same images in every process
        self._images = torch.rand((max(REFERENCE.values()) + SHIFT, *shape), generator=random)
        self._expected: dict[State, tuple[Tensor, ...]] = {}
        self._usable: dict[tuple[State, int], bool | None] = {}

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W]."""
        images = images.contiguous()
        state = self._state(images)
        if not self._reproducible(state, images) or self._same(state, images):
            return self.inner(images)
        parts = images.split(self._reference)
        if len(parts) == 1:
            return self._padded(images)
        return torch.cat([
            self.inner(x) if self._same(state, x) else self._padded(x) for x in parts
        ])  # fmt: skip

    def tried(self, like: Tensor) -> bool:
        """Try passes with and without gradients of images like these; return `stable`."""
        for gradient in (False, True):
            with torch.set_grad_enabled(gradient):
                point = like[:1].detach().requires_grad_(gradient)
                self._reproducible(self._state(point), point)
        return self.stable

    def _padded(self, images: Tensor) -> Tensor:
        """Run a batch of less than the reference size."""
        count, reference = len(images), self._reference
        if count == reference:
            return self.inner(images)
        # Detached: what is thrown away gives no gradient.
        copies = images.detach().repeat(-(-reference // count), 1, 1, 1)[count:reference]
        return self.inner(torch.cat([images, copies]))[:count]

    def _state(self, images: Tensor) -> State:
        """What else decides which kernels run: gradients, and the layers that an attack folds."""
        folded = (n for n, m in enumerate(self.inner.modules()) if "forward" in m.__dict__)
        return torch.is_grad_enabled() and images.requires_grad, tuple(folded)

    def _reproducible(self, state: State, like: Tensor) -> bool:
        """Whether the reference size can be relied on; remember its answers."""
        if self.stable and state not in self._expected:
            images = self._images.to(like)
            expected, moved = self._probe_reference(state, images)
            self._expected[state] = expected
            self._usable[state, self._reference] = True
            pairs = zip(expected, moved, strict=True)
            self.stable = all(_equal(a[SHIFT:], b[:-SHIFT]) for a, b in pairs)
        return self.stable

    def _probe_reference(self, state: State, images: Tensor) -> tuple[tuple[Tensor, ...], ...]:
        """Answers of the reference size, halved until it fits into the device's memory."""
        if self._reference is None:
            self._reference = REFERENCE.get(images.device.type, 64)
        while True:
            size = self._reference
            try:
                # The second time in other places, with other images beside them.
                return tuple(self._probe(state, images[n : n + size]) for n in (0, SHIFT))
            except torch.OutOfMemoryError:
                if size <= 2 * SHIFT:
                    raise
                # All that was learnt about the larger size is of no use.
                self._reference, self._expected, self._usable = size // 2, {}, {}

    def _same(self, state: State, images: Tensor) -> bool:
        """Whether a batch of this size is known to give every image the reference's answers."""
        size = len(images)
        if (state, size) not in self._usable:
            self._usable[state, size] = None  # a size that occurs once is not worth the trial
        elif self._usable[state, size] is None:
            self._usable[state, size] = self._compare(state, images)
        return bool(self._usable[state, size])

    def _compare(self, state: State, like: Tensor) -> bool:
        expected, size = self._expected[state], len(like)
        places = (torch.arange(size) + SHIFT) % len(expected[0])
        found = self._probe(state, self._images[places].to(like))
        places = places.to(like.device)
        return all(_equal(a[places], b) for a, b in zip(expected, found, strict=True))

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


def _equal(one: Tensor, other: Tensor) -> bool:
    """Compare bit for bit; NaN is as NaN."""
    return bool(((one == other) | (one.isnan() & other.isnan())).all())
