"""timm's XCiT computed faster: the same parameters, names and results, up to rounding.

The layers of a built model get another class, whose `forward` does the same in fewer passes over
memory. Only layers whose class is exactly timm's are touched.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator

import torch
from timm.models.xcit import (
    LPI,
    XCA,
    ClassAttentionBlock,
    ConvPatchEmbed,
    PositionalEncodingFourier,
    XCABlock,
    Xcit,
)
from torch import Tensor, nn

from robustvit.models.layers.class_attention import class_attention
from robustvit.models.layers.convolution import frozen_convolution
from robustvit.models.layers.cross_covariance import cross_covariance_attention
from robustvit.models.layers.linear import FastLinear, linear


class FastXCA(XCA):
    """Cross-covariance attention."""

    def forward(self, x: Tensor) -> Tensor:
        """Attend between the channels of tokens [B, N, C]."""
        if torch.compiler.is_compiling():
            # torch 2.9 compiles the backward pass of the other formula to code that writes beyond
            # its memory (CPU); and it fuses what timm's does one after the other.
            return super().forward(x)
        x = cross_covariance_attention(self.qkv(x), self.temperature, self.num_heads)
        return self.proj_drop(self.proj(x))


class FastLPI(LPI):
    """Local patch interaction."""

    def forward(self, x: Tensor, H: int, W: int) -> Tensor:
        """Mix tokens [B, H · W, C] with their neighbours in the image."""
        count, _, width = x.shape
        x = self.conv1(x.transpose(1, 2).unflatten(2, (H, W)))
        x = self.conv2(self.bn(activate(self.act, x)))
        return x.permute(0, 2, 3, 1).reshape(count, H * W, width)


class FastPatchEmbed(ConvPatchEmbed):
    """The convolutional stem."""

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """Turn images [B, 3, H, W] into tokens [B, N, C], contiguous, on a grid."""
        if x.device.type == "cpu" and not torch.compiler.is_compiling():
            # oneDNN's kernels for this format are the faster ones, and tokens have it anyway.
            x = x.contiguous(memory_format=torch.channels_last)
        for layer in self.proj:
            x = layer(x) if isinstance(layer, nn.Sequential) else activate(layer, x)
        grid = (x.shape[2], x.shape[3])
        # Tokens in another layout make every later sum and normalisation walk through memory
        # in two orders at once.
        return x.flatten(2).transpose(1, 2).contiguous(), grid


class FastXCABlock(XCABlock):
    """Attention, local interaction and MLP, each with LayerScale and stochastic depth."""

    def forward(self, x: Tensor, H: int, W: int) -> Tensor:
        """Transform tokens [B, N, C]."""
        x = add_scaled(x, self.gamma1, self.drop_path1, self.attn(self.norm1(x)))
        x = add_scaled(x, self.gamma3, self.drop_path3, self.local_mp(self.norm3(x), H, W))
        return add_scaled(x, self.gamma2, self.drop_path2, self.mlp(self.norm2(x)))

    def when_frozen(self) -> Iterator[dict[nn.Module, Callable[..., Tensor]]]:
        """LayerScale goes into the last weights of each branch (see `attacks.support.folding`)."""
        linears, convolution = (self.attn.proj, self.mlp.fc2), self.local_mp.conv2
        if all(isinstance(layer, nn.Linear) for layer in linears):
            yield {
                self: self._forward_without_scales,
                self.attn.proj: _scaled(self.attn.proj, self.gamma1),
                self.mlp.fc2: _scaled(self.mlp.fc2, self.gamma2),
                convolution: frozen_convolution(convolution, self.gamma3),
            }

    def _forward_without_scales(self, x: Tensor, H: int, W: int) -> Tensor:
        x = x + self.attn(self.norm1(x))
        x = x + self.local_mp(self.norm3(x), H, W)
        return x + self.mlp(self.norm2(x))


class FastPositions(PositionalEncodingFourier):
    """The encoding of the tokens' places."""

    def when_frozen(self) -> Iterator[dict[nn.Module, Callable[..., Tensor]]]:
        """Without changes of its weights it depends on the size of the image only."""
        yield {self: functools.cache(super().forward)}


class FastClassAttentionBlock(ClassAttentionBlock):
    """Class attention and MLP, the class token apart from the others."""

    def split_forward(self, token: Tensor, others: Tensor, last: bool) -> tuple[Tensor, Tensor]:
        """Transform the class token [B, 1, C]; the others [B, N, C] too unless it is the last."""
        query, normal = self.norm1(token), self.norm1(others)
        token = token + self.gamma1 * class_attention(self.attn, query, normal)
        if not last:
            others = others + self.gamma1 * normal
            # timm adds the other tokens to themselves after the MLP of the class token.
            others = 2.0 * (self.norm2(others) if self.tokens_norm else others)
        token = self.norm2(token)
        return token + self.gamma2 * self.mlp(token), others


class FastXcit(Xcit):
    """The network."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits [B, K] of images [B, 3, H, W]."""
        if not self._splits():
            return super().forward(x)
        tokens, grid = self.patch_embed(x)
        if self.pos_embed is not None:
            tokens = tokens + self.pos_embed(1, *grid).flatten(2).transpose(1, 2)
        tokens = self.pos_drop(tokens)
        for block in self.blocks:
            tokens = block(tokens, *grid)
        token = self.cls_token.expand(tokens.shape[0], -1, -1)
        for number, block in enumerate(self.cls_attn_blocks, start=1):
            last = number == len(self.cls_attn_blocks)
            token, tokens = block.split_forward(token, tokens, last)
        return self.head(self.head_drop(self.norm(token[:, 0])))

    def _splits(self) -> bool:
        """Whether the class token alone gives the logits, by layers without special settings."""
        blocks = self.cls_attn_blocks
        return (
            self.global_pool == "token"
            and not self.grad_checkpointing
            and len(blocks) > 0
            and all(type(block) is FastClassAttentionBlock for block in blocks)
        )


FASTER = {
    XCA: FastXCA,
    LPI: FastLPI,
    ConvPatchEmbed: FastPatchEmbed,
    XCABlock: FastXCABlock,
    PositionalEncodingFourier: FastPositions,
    ClassAttentionBlock: FastClassAttentionBlock,
    Xcit: FastXcit,
    nn.Linear: FastLinear,
}


def speed_up(model: nn.Module) -> None:
    """Give linear layers and those of timm's XCiT in `model` their faster classes, in place."""
    for module in model.modules():
        faster = FASTER.get(type(module))
        if faster is not None and not _drops(module):
            module.__class__ = faster


def activate(activation: nn.Module, x: Tensor) -> Tensor:
    """Apply a GELU to [B, C, H, W]; torch is slow unless it sees contiguous memory."""
    ordered = x.is_contiguous(memory_format=torch.channels_last)
    if type(activation) is not nn.GELU or not ordered or torch.compiler.is_compiling():
        return activation(x)
    return activation(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def add_scaled(x: Tensor, scale: Tensor, drop_path: nn.Module, branch: Tensor) -> Tensor:
    """Return x + drop_path(scale · branch) for tokens [B, N, C] in one pass over them."""
    if drop_path.training and not isinstance(drop_path, nn.Identity):
        # Dropped is what the branch is multiplied by: one number per example and channel.
        scale = drop_path(scale.expand(len(x), 1, -1))
    return torch.addcmul(x, scale, branch)


def _scaled(layer: nn.Linear, scale: Tensor) -> Callable[[Tensor], Tensor]:
    bias = None if layer.bias is None else layer.bias * scale
    return functools.partial(linear, weight=layer.weight * scale[:, None], bias=bias)


def _drops(module: nn.Module) -> bool:
    """Whether the layer has a kind of dropout that its faster class does not know."""
    if isinstance(module, ClassAttentionBlock):
        return module.attn.attn_drop.p > 0 or not isinstance(module.drop_path1, nn.Identity)
    return isinstance(module, XCA) and module.attn_drop.p > 0
