"""BatchNorm in plain tensor operations, for what torch's own layer does not serve.

torch.nn.SyncBatchNorm runs on GPUs only; and on XLA torch's BatchNorm in eval mode breaks the
input gradient (pytorch/xla#3361) and keeps a running variance without Bessel's correction.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from robustvit.core.errors import UserError

Average = Callable[[Tensor], Tensor]
"""Differentiable mean of a tensor over the processes that share a batch."""


class PortableBatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` with the same weights and buffers, as an explicit affine map.

    Attributes:
        average: mean over the processes that share a batch (equal slices), or None for one.
        sharing: their number.
    """

    average: Average | None = None
    sharing: int = 1

    def forward(self, images: Tensor) -> Tensor:
        """Normalise float [B, C, H, W]; statistics are taken and kept in float32."""
        if self.training:
            mean, variance, count = self._batch_statistics(images.float())
            self._track(mean, variance, count)
        else:
            mean, variance = self.running_mean, self.running_var
        scale = self.weight * torch.rsqrt(variance + self.eps)
        shift = self.bias - mean * scale
        result = images.float() * scale[:, None, None] + shift[:, None, None]
        return result.to(images.dtype)

    def _batch_statistics(self, images: Tensor) -> tuple[Tensor, Tensor, int]:
        mean = self._shared(images.mean(dim=(0, 2, 3)))
        variance = self._shared((images - mean[:, None, None]).square().mean(dim=(0, 2, 3)))
        return mean, variance, images.numel() // images.shape[1] * self.sharing

    def _shared(self, value: Tensor) -> Tensor:
        return value if self.average is None else self.average(value)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor, count: int) -> None:
        unbiased = variance * (count / max(count - 1, 1))
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased, self.momentum)
        self.num_batches_tracked.add_(1)


def use_portable_norm(
    model: nn.Module, average: Average | None = None, sharing: int = 1
) -> nn.Module:
    """Turn every BatchNorm layer of `model` into a `PortableBatchNorm`, in place.

    Raises:
        UserError: for a kind of BatchNorm that has no portable form.
    """
    for name, module in model.named_modules():
        if not isinstance(module, _BatchNorm):
            continue
        if type(module) not in (nn.BatchNorm2d, PortableBatchNorm) or not module.affine:
            raise UserError(
                f"layer {name} is a {type(module).__name__}; here only BatchNorm2d with weights can"
                " be shared between processes. Train this model on one device, or on GPUs."
            )
        module.__class__ = PortableBatchNorm
        module.average, module.sharing = average, sharing
    return model
