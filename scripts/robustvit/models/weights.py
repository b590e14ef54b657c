"""Weights on the disk: safetensors with the keys of the inner model, strictly checked."""

from __future__ import annotations

import argparse
import contextlib
import json
import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import interpolate

from robustvit.core.errors import UserError
from robustvit.core.files import atomic_path
from robustvit.models.normalization import inner_model

HEADS = ("head", "head_dist", "fc", "classifier", "linear")
STEM = "conv1.weight"  # of a ResNet: 7×7 for large images, 3×3 for 32 pixels
# Where timm's checkpoints keep the weights, old and new ones, and the paper's: averaged weights, if
# there are any, are what was evaluated, so they go first, as in timm's own loading.
NESTED = ("state_dict_ema", "model_ema", "state_dict", "model")
# What else those checkpoints hold: the command line, and scores as NumPy's numbers, whose module
# has had two names.
NUMPY_SCALAR = np.float64(0).__reduce__()[0]
HARMLESS = (
    argparse.Namespace,
    np.dtype,
    np.dtypes.Float32DType,
    np.dtypes.Float64DType,
    (NUMPY_SCALAR, "numpy.core.multiarray.scalar"),
    (NUMPY_SCALAR, "numpy._core.multiarray.scalar"),
)


def save_weights(path: str | Path, model: nn.Module, metadata: Mapping[str, str]) -> None:
    """Write the weights of `model` as safetensors, atomically and with the same bytes every time.

    Args:
        path: the file to write.
        model: its wrappers are left out, so that timm can load the file.
        metadata: strings that are kept in the file's header; no times, or bytes would differ.
    """
    write_state(path, _own_tensors(model), metadata)


def write_state(path: str | Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors, each with memory of its own, as safetensors: see `save_weights`."""
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, metadata=dict(metadata))
        _sort_metadata(temporary)


def _own_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The weights, each with memory of its own: the format refuses what two names share."""
    state, seen = {}, set()
    for name, value in inner_model(model).state_dict().items():
        value = value.detach().cpu().contiguous()
        shared = value.untyped_storage().data_ptr() in seen
        state[name] = value.clone() if shared else value
        seen.add(state[name].untyped_storage().data_ptr())
    return state


def _sort_metadata(path: Path) -> None:
    """Rewrite the header with its metadata sorted: the library writes them in random order."""
    with open(path, "r+b") as handle:
        size = int.from_bytes(handle.read(8), "little")
        header = json.loads(handle.read(size))
        if "__metadata__" not in header:
            return
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        if len(text) > size:
            raise ValueError(f"{path}: the sorted header does not fit into {size} bytes")
        handle.seek(8)
        handle.write(text.ljust(size))


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the strings in the header of a safetensors file."""
    with safe_open(path, framework="pt") as handle:
        return handle.metadata() or {}


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from safetensors, or from a pickle that holds nothing but data.

    Raises:
        UserError: if the file is missing, damaged, holds code, or holds no weights.
    """
    path = Path(path)
    if not path.exists():
        raise UserError(f"weights file {path} does not exist")
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UserError(f"{path} is not a valid safetensors file: {error}") from error
    return _weights_in(_read_pickle(path), path)


@contextlib.contextmanager
def trusted_types() -> Iterator[None]:
    """Let `torch.load(weights_only=True)` read the harmless types that checkpoints hold."""
    with torch.serialization.safe_globals(list(HARMLESS)):
        yield


def check_pickle(path: Path) -> None:
    """Stop unless a checkpoint holds nothing but data.

    Raises:
        UserError: if loading it could run code, or it cannot be read.
    """
    _read_pickle(path)


def _read_pickle(path: Path) -> object:
    try:
        with trusted_types():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path} is refused: it holds more than weights, and loading it could run code. "
            f"Convert it to .safetensors where you trust it. ({str(error).splitlines()[0]})"
        ) from error
    except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is not a readable checkpoint: {error}") from error


def _weights_in(content: object, path: Path) -> dict[str, Tensor]:
    if isinstance(content, Mapping):
        found = [content[name] for name in NESTED if isinstance(content.get(name), Mapping)]
        content = found[0] if found else content
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"{path} holds no state dict (a mapping from names to tensors)")
    strangers = [str(k) for k, v in content.items() if not isinstance(v, Tensor)]
    if strangers:
        raise UserError(f"{path} holds values that are no tensors: {_few(strangers)}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Load every weight of `model` from `path`; nothing may be missing, left over or reshaped.

    Raises:
        UserError: with the keys that differ, or if the file cannot be read.
    """
    network, state = inner_model(model), read_state(path)
    _check(network, state, path, may_miss=())
    network.load_state_dict(state)


def load_for_finetuning(model: nn.Module, path: str | Path) -> list[str]:
    """Load `path` into `model` as the released code does before fine-tuning.

    A classifier of another shape keeps its fresh initial weights, and so does a ResNet's first
    convolution of another kernel size (torch refuses that in the released code, though its
    ResNet-50 for 32 pixels is said to start from an ImageNet model); a learned positional
    embedding of another length is interpolated (bicubic); everything else has to fit.

    Returns:
        The names of the weights that kept their initial values.

    Raises:
        UserError: with the keys that differ in any other way.
    """
    network, state = inner_model(model), read_state(path)
    own = network.state_dict()
    fresh = {name for name in own.keys() | state.keys() if name.split(".")[0] in HEADS}
    if _other_kernel(state.get(STEM), own.get(STEM)):
        fresh.add(STEM)
    for name in fresh & state.keys():
        if name not in own or state[name].shape != own[name].shape:
            del state[name]
    _resize_positions(network, state, own)
    _check(network, state, path, may_miss=fresh)
    network.load_state_dict(state, strict=False)
    return sorted(own.keys() - state.keys())


def _other_kernel(old: Tensor | None, new: Tensor | None) -> bool:
    """Whether two convolutions differ in nothing but the size of their kernels."""
    if old is None or new is None or old.ndim != 4:
        return False
    return old.shape[:2] == new.shape[:2] and old.shape[2:] != new.shape[2:]


def _resize_positions(network: nn.Module, state: dict[str, Tensor], own: dict[str, Tensor]) -> None:
    old, new = state.get("pos_embed"), own.get("pos_embed")
    if old is None or new is None or old.shape == new.shape:
        return
    prefix = getattr(network, "num_prefix_tokens", 1)
    grid = int((old.shape[1] - prefix) ** 0.5)
    target = int((new.shape[1] - prefix) ** 0.5)
    tokens = old[:, prefix:].reshape(1, grid, grid, -1).permute(0, 3, 1, 2)
    tokens = interpolate(tokens, size=(target, target), mode="bicubic", antialias=False)
    tokens = tokens.permute(0, 2, 3, 1).flatten(1, 2)
    state["pos_embed"] = torch.cat([old[:, :prefix], tokens], dim=1)


def _check(network: nn.Module, state: dict, path: str | Path, may_miss: object) -> None:
    own = network.state_dict()
    missing = sorted(own.keys() - state.keys() - set(may_miss))
    unexpected = sorted(state.keys() - own.keys())
    reshaped = [
        f"{name} (file {list(state[name].shape)}, model {list(own[name].shape)})"
        for name in sorted(own.keys() & state.keys())
        if own[name].shape != state[name].shape
    ]
    found = {"missing": missing, "unexpected": unexpected, "of another shape": reshaped}
    parts = [f"{kind}: {_few(names)}" for kind, names in found.items() if names]
    if parts:
        raise UserError(
            f"{path} does not fit {type(network).__name__}. Weights {'; '.join(parts)}. "
            "Check that `model` is the one that the file was trained as."
        )


def _few(names: list[str]) -> str:
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(names[:6]) + more
