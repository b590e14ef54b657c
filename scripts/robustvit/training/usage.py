"""How to load a weights file without this project: lines of Python for its model card."""

from __future__ import annotations

import math

import timm

FILE = "weights.safetensors"
IMPORTS = "import torch\nfrom safetensors.torch import load_file"
# timm's names of XCiTs with 12 layers and patches of 16 pixels, by width.
TIMM_XCIT = {128: "nano", 192: "tiny", 384: "small"}
# RobustBench's models of Debenedetti et al., by width: letter, heads.
ROBUSTBENCH_XCIT = {384: ("s12", 8), 512: ("m12", 8), 768: ("l12", 16)}
# Classes and image size of its data sets with the stem's patch size and the model's normalisation.
ROBUSTBENCH_SETS = {
    (10, 32): ("cifar10", 4, ([0.4914, 0.4822, 0.4465], [0.2471, 0.2435, 0.2616])),
    (100, 32): ("cifar100", 4, ([0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761])),
    (1000, 224): ("imagenet", 16, None),
}


def loading_lines(model: dict) -> str | None:
    """Return Python that builds the network of MODEL and loads `weights.safetensors` strictly.

    The lines need torch, timm and safetensors. They end with `logits` for `images`: float32
    [B, 3, H, W], pixels in [0, 1].

    Returns:
        None for a family that only this project has.
    """
    build = {"xcit": _xcit, "timm": _timm, "resnet": _resnet}.get(model["family"])
    if build is None:
        return None
    return "\n".join([*build(model), "model.eval()", *_forward(model)])


def robustbench_lines(model: dict) -> str | None:
    """Return Python that loads the weights into RobustBench's own class of this architecture.

    Returns:
        None if RobustBench has no such architecture, or has it with another normalisation.
    """
    name = _robustbench_name(model)
    if name is None:
        return None
    _, _, own = ROBUSTBENCH_SETS[model["num_classes"], model["image_size"]]
    values = model.get("normalization")
    if values is not None and (values["mean"], values["std"]) != own:
        return None
    lines = [
        "import robustbench, timm",
        "from safetensors.torch import load_file",
        "",
        f'model = timm.create_model("{name}")',
    ]
    if own is not None and values is None:
        lines.append("model = model.model  # without RobustBench's normalisation, as trained")
    network = "model" if values is None else "model.model"
    lines.append(f'{network}.load_state_dict(load_file("{FILE}"))')
    return "\n".join([*lines, "model.eval()", "logits = model(images)"])


def _robustbench_name(model: dict) -> str | None:
    args = dict(model.get("args") or {})
    size, heads = ROBUSTBENCH_XCIT.get(args.pop("embed_dim", None), (None, 0))
    data, patch_size, _ = ROBUSTBENCH_SETS.get(
        (model["num_classes"], model["image_size"]), (None, 0, None)
    )
    own = {"patch_size": 16, "depth": 12, "num_heads": heads, "eta": 1.0, "tokens_norm": True}
    if size is None or data is None or args != own or _patch_size(model) != patch_size:
        return None
    return f"debenedetti2022light_xcit_{size}_{data}_linf"


def _patch_size(model: dict) -> int:
    return model.get("patch_size") or (model.get("args") or {}).get("patch_size", 16)


def _xcit(model: dict) -> list[str]:
    args = model.get("args") or {}
    name = _timm_name(model)
    if name is not None:
        given = f'"{name}", num_classes={model["num_classes"]}, checkpoint_path="{FILE}"'
        return ["import torch, timm", "", "model = timm.create_model(", f"    {given}", ")"]
    values = {"img_size": model["image_size"], "num_classes": model["num_classes"], **args}
    return [
        IMPORTS,
        "from timm.models.xcit import Xcit",
        "",
        f"model = Xcit({_keywords(values)})",
        *_adapt(model, args.get("patch_size", 16)),
        f'model.load_state_dict(load_file("{FILE}"))',
    ]


def _timm_name(model: dict) -> str | None:
    """The name of this very XCiT in timm, at any image size: XCiT has no weights for places."""
    args = dict(model.get("args") or {})
    size = TIMM_XCIT.get(args.pop("embed_dim", None))
    heads = 8 if size == "small" else 4
    own = {"patch_size": 16, "depth": 12, "num_heads": heads, "eta": 1.0}
    same = args == {**own, "tokens_norm": size != "nano"}
    return f"xcit_{size}_12_p16_224" if size and same and not model.get("patch_size") else None


def _adapt(model: dict, built_with: int) -> list[str]:
    patch_size = model.get("patch_size")
    if not patch_size or patch_size == built_with:
        return []
    count = round(math.log2(built_with / patch_size))
    return [
        "stem = [m for m in model.patch_embed.modules() if isinstance(m, torch.nn.Conv2d)]",
        f"for convolution in stem[:{count}]:",
        f"    convolution.stride = (1, 1)  # patches of {patch_size} pixels",
    ]


def _timm(model: dict) -> list[str]:
    values = dict(model.get("args") or {})
    name = values.pop("model")
    activation = values.pop("act", None)
    known = timm.get_pretrained_cfg(name)
    if known is not None and known.fixed_input_size:
        values["img_size"] = model["image_size"]
    text = _keywords({"num_classes": model["num_classes"], **values})
    if activation is not None:
        text += f', act_layer=timm.layers.get_act_layer("{activation}")'
    return [
        IMPORTS,
        "import timm",
        "",
        f'model = timm.create_model("{name}", {text})',
        *_adapt(model, 16 if "_p16_" in name else 8),
        f'model.load_state_dict(load_file("{FILE}"))',
    ]


def _resnet(model: dict) -> list[str]:
    values = dict(model.get("args") or {})
    block = {"basic": "BasicBlock"}.get(values.pop("block", None), "Bottleneck")
    stem, activation = values.pop("stem", "imagenet"), values.pop("act", "relu")
    layers = tuple(values.pop("layers", (3, 4, 6, 3)))
    text = _keywords({"num_classes": model["num_classes"], **values})
    small = [
        "model.conv1 = torch.nn.Conv2d(3, model.conv1.out_channels, 3, padding=1, bias=False)",
        "model.maxpool = torch.nn.Identity()",
    ]
    return [
        IMPORTS,
        "from timm.layers import get_act_layer",
        f"from timm.models.resnet import {block}, ResNet",
        "",
        f'model = ResNet({block}, {layers}, act_layer=get_act_layer("{activation}"), {text})',
        *(small if stem == "cifar" else []),
        f'model.load_state_dict(load_file("{FILE}"))',
    ]


def _keywords(values: dict) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in values.items())


def _forward(model: dict) -> list[str]:
    values = model.get("normalization")
    if values is None:
        return ["logits = model(images)"]
    return [
        f"mean = torch.tensor({values['mean']}).reshape(3, 1, 1)",
        f"std = torch.tensor({values['std']}).reshape(3, 1, 1)",
        "logits = model((images - mean) / std)",
    ]
