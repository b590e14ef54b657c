"""Making a model ready for very many passes."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from robustvit.attacks.support.folding import folded

LOGGER = logging.getLogger("robustvit.autoattack")
SAME_LOGITS = 1e-4  # length of the difference, relative to the logits'
SAME_GRADIENT = 1e-2  # the same for gradients, in which kinks may be rounded to either side


def probe_images(shape: tuple[int, ...], count: int, device: object) -> Tensor:
    """Random images [count, C, H, W] in [0, 1], the same in every process."""
    random = torch.Generator().manual_seed(0)
    return torch.rand((count, *shape), generator=random).to(device)


@contextlib.contextmanager
def quicker(model: nn.Module, shape: tuple[int, ...], device: object) -> Iterator[nn.Module]:
    """Lend a frozen copy of `model` in evaluation mode that needs less time for the same function.

    BatchNorm and other constant factors are folded into weights, convolutions' weights are laid
    out channels-last, and the layers are called without Python between them, each as far as the
    model allows. A copy whose logits or gradients differ is not used (tracing loses a gradient
    that a model puts in the place of the true one); the last resort is `model` itself.

    Args:
        model: stays as it is.
        shape: of one image, (C, H, W).
        device: where the model is.
    """
    images = probe_images(shape, 4, device)
    for steps in (_STEPS, _STEPS[:-1], _STEPS[:1]):
        with contextlib.ExitStack() as stack:
            candidate = _prepare(model, images, steps, stack)
            if candidate is not None:
                yield candidate
                return
    yield model


def _prepare(
    model: nn.Module, images: Tensor, steps: tuple, stack: contextlib.ExitStack
) -> nn.Module | None:
    """Return a copy after `steps`, some of which last until the stack is closed; or None."""
    try:
        plain = copy.deepcopy(model).eval().requires_grad_(False)
        candidate = copy.deepcopy(plain)
        for step in steps:
            candidate = step(candidate, images, stack)
        return candidate if _agree(plain, candidate, images) else None
    except Exception as error:  # noqa: BLE001 - tracing runs the model's code on stand-ins
        LOGGER.debug("%d steps of preparing a model failed: %s", len(steps), error)
        return None


def _lay_out(model: nn.Module, images: Tensor, stack: contextlib.ExitStack) -> nn.Module:
    return model.to(memory_format=torch.channels_last)


def _fold(model: nn.Module, images: Tensor, stack: contextlib.ExitStack) -> nn.Module:
    try:
        model = _lay_out(fuse(model), images, stack)
    except Exception as error:  # noqa: BLE001 - as above; what follows does not need it
        LOGGER.debug("BatchNorm not fused: %s", error)
    stack.enter_context(folded(model))
    return model


def _trace(model: nn.Module, images: Tensor, stack: contextlib.ExitStack) -> nn.Module:
    return Traced(model, images)


_STEPS = (_lay_out, _fold, _trace)


class Traced(nn.Module):
    """A recorded network that calls its layers without Python.

    Args:
        model: to be recorded; frozen, in evaluation mode.
        images: float32 [B, C, H, W].
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes that it learns by heart
            graph = torch.jit.trace(model, images, check_trace=False)
            self.graph = torch.jit.freeze(graph.eval())
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K]."""
        # Without the optimiser, which would record and compile for every new size of batch.
        with torch.jit.optimized_execution(False):
            return self.graph(images)


def _agree(model: nn.Module, candidate: nn.Module, images: Tensor) -> bool:
    """Compare logits and gradients for two sizes of batch: a trace may know one by heart."""
    for batch in (images, torch.cat([images, images.flip(0)])[:7]):
        (logits, gradient), (other, copied) = (_probe(each, batch) for each in (model, candidate))
        if logits.shape != other.shape or not _near(logits, other, SAME_LOGITS):
            return False
        if not _near(gradient, copied, SAME_GRADIENT):
            return False
    return True


def _probe(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    point = images.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = model(point)
        (gradient,) = torch.autograd.grad(logits.amax(dim=1).sum(), point)
    return logits.detach(), gradient


def _near(expected: Tensor, found: Tensor, tolerance: float) -> bool:
    return float((expected - found).norm()) <= tolerance * float(expected.norm())
