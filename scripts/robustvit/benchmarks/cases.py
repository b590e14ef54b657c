"""What is timed: models with a batch size, and kinds of training steps."""

from __future__ import annotations

from dataclasses import dataclass, field

NANO = {"embed_dim": 128, "depth": 12, "num_heads": 4, "eta": 1.0, "tokens_norm": False}
DEMO = {"patch_size": 8, "embed_dim": 64, "depth": 4, "num_heads": 4, "eta": 1.0}


@dataclass(frozen=True)
class Case:
    """A model and how much it is given at a time.

    Attributes:
        label: as the tables call it.
        model: MODEL of the configuration.
        batch_size: images per step.
        variants: names of the steps that are timed.
    """

    label: str
    model: dict
    batch_size: int
    variants: tuple[str, ...]


@dataclass(frozen=True)
class Variant:
    """A kind of training step.

    Attributes:
        label: as the tables call it.
        loss: plug-in of `robustvit.training.losses`, which says what is computed.
        attack_steps: of the attack within.
        released: computed as the released code's step, see `benchmarks.released`, with timm's
            layers.
        weight_gradients: the released attack's backward pass reaches the weights, too.
        precision: the recipe's key.
        layout: the recipe's keys `channels_last` and `compile`.
        every: it runs in every so many rounds, because it takes long.
    """

    label: str
    loss: str
    attack_steps: int = 0
    released: bool = False
    weight_gradients: bool = False
    precision: str = "float32"
    layout: dict = field(default_factory=dict)
    every: int = 1

    @property
    def baseline(self) -> str:
        """The clean step that its cost is divided by: that of the same layers and keys."""
        if self.released:
            return "released_clean"
        keys = [self.precision] if self.precision != "float32" else []
        return "_".join(["clean", *keys, *self.layout])


def _variants(kind: str, label: str, **settings: object) -> dict[str, Variant]:
    """The clean and the one-step step with some of the recipe's keys."""
    return {
        f"clean_{kind}": Variant(f"clean, {label}", "clean", **settings),
        f"fgsm_{kind}": Variant(f"one-step attack, {label}", "adversarial", 1, **settings),
    }


VARIANTS = {
    "clean": Variant("clean", "clean"),
    "fgsm": Variant("one-step attack", "adversarial", 1),
    "trades": Variant("TRADES, PGD-10", "trades", 10, every=2),
    "released_clean": Variant("released code: clean", "clean", released=True),
    "released_fgsm": Variant(
        "released code: one-step attack", "adversarial", 1, released=True, weight_gradients=True
    ),
    "released_fgsm_input": Variant(
        "the same, gradients of the images only", "adversarial", 1, released=True
    ),
    "released_trades": Variant("released code: TRADES, PGD-10", "trades", 10, True, every=2),
    **_variants("bf16", "bf16", precision="bf16"),
    **_variants("channels_last", "channels_last", layout={"channels_last": True}),
    **_variants("compile", "compile", layout={"compile": True}),
}
STEPS = ("clean", "fgsm", "trades")
RELEASED = ("released_clean", "released_fgsm", "released_fgsm_input", "released_trades")
KEYS = ("clean_bf16", "fgsm_bf16", "clean_channels_last", "fgsm_channels_last")
COMPILED = ("clean_compile", "fgsm_compile")


def _model(args: dict, size: int, classes: int, patch_size: int | None = None) -> dict:
    return {
        "name": "benchmark", "family": "xcit", "args": args, "num_classes": classes,
        "image_size": size, "patch_size": patch_size, "drop_path": 0.05, "normalization": None,
    }  # fmt: skip


CASES = {
    "n12_32": Case(
        "XCiT-N12, patch 4, 32 px",
        _model({"patch_size": 8, **NANO}, 32, 10, 4), 64, (*STEPS, *RELEASED, *KEYS),
    ),
    "n12_224": Case(
        "XCiT-N12, patch 16, 224 px", _model({"patch_size": 16, **NANO}, 224, 100), 16,
        ("clean", "fgsm", "released_clean", "released_fgsm", "released_fgsm_input"),
    ),
    "demo": Case(
        "XCiT of the demo, patch 8, 32 px", _model(DEMO, 32, 4), 128, (*STEPS, *RELEASED, *KEYS)
    ),
    "quick": Case(
        "a small XCiT, patch 8, 16 px",
        _model({**DEMO, "embed_dim": 32, "depth": 2}, 16, 4), 16, (*STEPS, *RELEASED, *KEYS),
    ),
}  # fmt: skip
