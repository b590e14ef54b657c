"""Making a process and a model ready for very many passes."""

from __future__ import annotations

import copy
import ctypes
import logging
import warnings

import torch
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from robustvit.attacks.fast.lean import use_lean_layers

LOGGER = logging.getLogger("robustvit.autoattack")
SAME_LOGITS = 1e-4  # largest difference, relative to the largest logit
SAME_GRADIENT = 1e-2  # length of the difference, relative to the gradient's: kinks round apart
TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # M_… in malloc.h


def keep_freed_memory() -> None:
    """Keep freed memory in this process for its next tensors, where the C library can.

    By default glibc returns the memory of large tensors to the system at once, and every layer
    of the next forward pass pays for fresh, zeroed pages: up to a third of the time of a pass.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    for parameter in (TRIM_THRESHOLD, MMAP_THRESHOLD):
        mallopt(parameter, 1 << 30)


def probe_images(shape: tuple[int, ...], count: int, device: object) -> Tensor:
    """Random images [count, C, H, W] in [0, 1], the same in every process."""
    random = torch.Generator().manual_seed(0)
    return torch.rand((count, *shape), generator=random).to(device)


def quicker(model: nn.Module, shape: tuple[int, ...], device: object) -> nn.Module:
    """Return a copy of `model` that computes the same function in less time, where there is one.

    BatchNorm is folded into the convolutions before it, weights of convolutions are laid out
    channels-last, and the layers run without Python between them. A copy whose logits or
    gradients differ is not used (a gradient that the model replaces by its own gets lost in
    tracing), and `model` itself stays as it is.

    Args:
        model: frozen, in evaluation mode.
        shape: of one image, (C, H, W).
        device: where the model is.
    """
    images = probe_images(shape, 4, device)
    for steps in (_STEPS, _STEPS[:-1], _STEPS[:1]):
        try:
            candidate = copy.deepcopy(model)
            for step in steps:
                candidate = step(candidate, images)
            if _agree(model, candidate, images):
                return candidate
        except Exception as error:  # noqa: BLE001 - tracing runs the model's code on stand-ins
            LOGGER.debug("model not prepared: %s", error)
    return model


def _lay_out(model: nn.Module, images: Tensor) -> nn.Module:
    return model.to(memory_format=torch.channels_last)


def _use_less_work(model: nn.Module, images: Tensor) -> nn.Module:
    return use_lean_layers(model)


def _fold(model: nn.Module, images: Tensor) -> nn.Module:
    try:
        return fuse(model).to(memory_format=torch.channels_last)
    except Exception as error:  # noqa: BLE001 - as above; what follows does not need it
        LOGGER.debug("BatchNorm not folded: %s", error)
        return model


class Traced(nn.Module):
    """A recorded network that calls its layers without Python.

    Args:
        model: to be recorded.
        images: float32 [B, C, H, W].
    """

    def __init__(self, model: nn.Module, images: Tensor) -> None:
        super().__init__()
        with torch.no_grad():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about sizes that it learns by heart
                graph = torch.jit.trace(model, images, check_trace=False)
            self.graph = torch.jit.freeze(graph)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K]."""
        # Without the optimiser, which would record and compile for every new size of batch.
        with torch.jit.optimized_execution(False):
            return self.graph(images)


def _trace(model: nn.Module, images: Tensor) -> nn.Module:
    return Traced(model.requires_grad_(False).eval(), images)


_STEPS = (_lay_out, _use_less_work, _fold, _trace)


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
    size = float(expected.norm())
    return float((expected - found).norm()) <= tolerance * max(size, 1e-6)
