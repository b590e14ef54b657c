"""Making a model ready for very many passes."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse
from torch.utils._python_dispatch import TorchDispatchMode

from robustvit.attacks._forward import forward
from robustvit.attacks.support.folding import folded
from robustvit.attacks.support.frozen import attack_mode

LOGGER = logging.getLogger("robustvit.autoattack")
SAME_LOGITS = 1e-4  # length of the difference, relative to the logits'
SAME_GRADIENT = 1e-2  # the same for gradients, in which kinks may be rounded to either side
OWN = 16  # of the images to be attacked on which a copy is compared


def probe_images(shape: tuple[int, ...], count: int, device: object) -> Tensor:
    """Random images [count, C, H, W] in [0, 1], the same in every process."""
    random = torch.Generator().manual_seed(0)
    return torch.rand((count, *shape), generator=random).to(device)


@contextlib.contextmanager
def quicker(
    model: nn.Module, shape: tuple[int, ...], device: object, own: Tensor | None = None
) -> Iterator[nn.Module]:
    """Lend a frozen copy of `model` in evaluation mode that needs less time for the same function.

    BatchNorm and other constant factors are folded into weights, convolutions' weights are laid
    out channels-last, and the layers are called without Python between them, each as far as the
    model allows. A model whose Python looks at the pixels is not recorded, and a copy whose logits
    or gradients differ, on made-up images or on `own`, is not used (tracing loses a gradient that
    a model puts in the place of the true one); the last resort is `model` itself.

    Args:
        model: stays as it is.
        shape: of one image, (C, H, W).
        device: where the model is.
        own: images that are to be attacked, [N, C, H, W].
    """
    batches = _batches(shape, device, own)
    with attack_mode(model, "eval"):
        expected = [_probe(model, batch) for batch in batches]
    for steps in (_STEPS, _STEPS[:-1], _STEPS[:1]):
        with contextlib.ExitStack() as stack:
            candidate = _prepare(model, batches[0], steps, stack)
            if candidate is not None and _agree(candidate, batches, expected):
                yield candidate
                return
    yield model


def _batches(shape: tuple[int, ...], device: object, own: Tensor | None) -> list[Tensor]:
    """Images to compare a model and its copy on: different ones, in batches of several sizes."""
    noise = probe_images(shape, 15, device)
    grey = torch.linspace(0, 1, 5, device=noise.device).reshape(5, 1, 1, 1).expand(5, *shape)
    smooth = F.interpolate(noise[4:10, :, :4, :4], shape[1:], mode="bilinear")
    batches = [noise[:4], grey.contiguous(), smooth, (noise[10:] > 0.5).to(noise), noise[4:7] / 20]
    if own is not None and len(own):
        batches.append(own[:OWN].contiguous())
    return batches


def _prepare(
    model: nn.Module, images: Tensor, steps: tuple, stack: contextlib.ExitStack
) -> nn.Module | None:
    """Return a copy after `steps`, some of which last until the stack is closed; or None."""
    try:
        candidate = copy.deepcopy(model).eval().requires_grad_(False)
        for step in steps:
            candidate = step(candidate, images, stack)
        return candidate
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
        _require_blind(model, images)
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about sizes that it learns by heart
            for kept_by_heart in ("NumPy", "Python list"):
                warnings.filterwarnings("error", f".*{kept_by_heart}")
            graph = torch.jit.trace(model, images, check_trace=False)
            self.graph = torch.jit.freeze(graph.eval())
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits [B, K]."""
        # Without the optimiser, which would record and compile for every new size of batch.
        with torch.jit.optimized_execution(False):
            return self.graph(images)


class _Looks(TorchDispatchMode):
    """Counts how often Python asks for the value of a tensor: `if x.std() > 0.2`, `.item()`."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: object, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Run the operation."""
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def _require_blind(model: nn.Module, images: Tensor) -> None:
    """Stop if the model's Python looks at values, which a recording would repeat for ever."""
    with torch.no_grad(), _Looks() as looks:
        model(images)
    if looks.count:
        raise ValueError(f"the model's Python looks at {looks.count} values")


def _agree(
    candidate: nn.Module, batches: list[Tensor], expected: list[tuple[Tensor, Tensor]]
) -> bool:
    """Compare logits and gradients with the model's."""
    for batch, (logits, gradient) in zip(batches, expected, strict=True):
        other, copied = _probe(candidate, batch)
        if logits.shape != other.shape or not _near(logits, other, SAME_LOGITS):
            return False
        if not _near(gradient, copied, SAME_GRADIENT):
            return False
    return True


def _probe(model: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    point = images.clone().requires_grad_(True)
    with torch.enable_grad():
        logits = forward(model, point)
        (gradient,) = torch.autograd.grad(logits.amax(dim=1).sum(), point)
    return logits.detach(), gradient


def _near(expected: Tensor, found: Tensor, tolerance: float) -> bool:
    return float((expected - found).norm()) <= tolerance * float(expected.norm())
