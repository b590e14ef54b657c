"""Settings of tables, figures and a report over the invented results."""

from __future__ import annotations

from synthetic_results import EXPERIMENTS


def table_spec() -> dict:
    """A table of all four experiments beside the thesis' Table 5 and Table 8."""
    keys = {
        "demo_light": "thesis.table5.wd-0-5",
        "demo_canonical": "thesis.table5.xca",
        "demo_cifar": "thesis.table8.finetuned",
    }
    rows = [
        {
            "experiment": name,
            "label": label,
            "published": {
                "clean": f"{keys[name]}.clean_top1",
                "autoattack": f"{keys[name]}.autoattack_top1",
            }
            if name in keys
            else {},
            "published_label": "XCiT-S12" if name in keys else None,
            "evaluate": ["clean", "pgd10", "autoattack"],
        }
        for name, label in EXPERIMENTS.items()
    ]
    return {
        "name": "demo_recipes",
        "title": "Recipes under attack",
        "caption": "Top-1 accuracy on unchanged images and under standard AutoAttack.",
        "columns": [
            {"metric": "clean_top1", "protocol": "clean", "label": "Clean"},
            {"metric": "robust_top1", "protocol": "pgd10", "label": "PGD-10"},
            {"metric": "robust_top1", "protocol": "autoattack", "label": "AutoAttack"},
        ],
        "rows": rows,
    }


def semantics_table_spec() -> dict:
    """Generators × classifiers beside the thesis' Table 9."""
    return {
        "name": "demo_semantics",
        "kind": "semantics",
        "title": "Perturbations named by another model",
        "caption": "Share of perturbations whose class the ResNet-18 names.",
        "semantics": "demo",
        "generators": [
            {
                "experiment": "demo_light",
                "label": "robust XCiT-demo",
                "published": {"cifar_resnet18": "thesis.table9.robust-xcit-s12.convnext-xl.top5"},
                "published_label": "XCiT-S12, named by ConvNeXt-XL",
            },
            {"experiment": "demo_standard", "label": "standard XCiT-demo"},
        ],
        "classifiers": [{"experiment": "cifar_resnet18", "label": "ResNet-18"}],
    }


def figure_specs() -> list[dict]:
    """One figure of every kind."""
    two = [
        {"experiment": "demo_light", "label": "robust XCiT-demo"},
        {"experiment": "demo_standard", "label": "standard XCiT-demo"},
    ]
    every = [
        {"experiment": name, "label": label, "evaluate": ["clean", "autoattack"]}
        for name, label in EXPERIMENTS.items()
    ]
    options = {
        "perturbations": {"semantics": "demo", "generators": two, "columns": 8},
        "gradients": {"models": two},
        "learning_curves": {"experiments": every},
        "ablation_bars": {"rows": every},
        "rulegraph": {"dot": "rulegraph.dot", "hide": ["all"]},
    }
    return [
        {
            "name": f"demo_{kind}",
            "kind": kind,
            "title": f"The {kind.replace('_', ' ')}",
            "caption": f"Caption of the {kind.replace('_', ' ')}: ε = 4/255, 95% intervals.",
            "options": option,
        }
        for kind, option in options.items()
    ]


def report_spec() -> dict:
    """Settings of a report over everything above."""
    recipe = {
        "batch_size": 256,
        "selection": "last",
        "epochs": 12,
        "optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.5},
        "augmentation": {"mixup": 0.0, "cutmix": 0.0, "randaugment": None},
        "loss": {"name": "adversarial", "beta": 6.0},
        "attack": {"name": "pgd", "steps": 1, "step_factor": 1.5, "epsilon_schedule": "linear"},
    }
    experiments = {
        name: {
            "label": label,
            "model": "xcit_demo",
            "dataset": "cifar10" if name == "demo_cifar" else "imagenet_demo",
            "recipe_name": name.removeprefix("demo_"),
            "recipe": recipe,
            "threat": None
            if name == "demo_standard"
            else {"norm": "linf", "epsilon_255": 8 if name == "demo_cifar" else 4},
            "init": {"experiment": "demo_light"} if name == "demo_cifar" else None,
            "weights": {"experiment": name},
            "evaluate": {"clean": 64, "pgd10": 64, "autoattack": 64},
            "images": {
                "image_size": 32,
                "crop_pct": 1.0 if name == "demo_cifar" else 0.875,
                "interpolation": "bicubic",
            },
            "normalization": None,
            "seed": 42,
        }
        for name, label in EXPERIMENTS.items()
    }
    return {
        "name": "demo",
        "title": "A Light Recipe to Train Robust Vision Transformers: demonstration",
        "tables": ["demo_recipes", "demo_semantics"],
        "figures": [
            {key: spec[key] for key in ("name", "title", "caption")} for spec in figure_specs()
        ],
        "experiments": experiments,
        "datasets": {
            "cifar10": {"label": "CIFAR-10", "eval_split": "val"},
            "imagenet_demo": {"label": "ImageNet, 4 classes", "eval_split": "val"},
        },
        "protocols": {
            "clean": {"label": "clean", "description": "Unchanged images.", "attack": None},
            "pgd10": {
                "label": "PGD-10",
                "description": "Projected gradient descent from a random start.",
                "attack": "pgd",
                "options": {"steps": 10, "step_factor": 1.5},
            },
            "autoattack": {
                "label": "AutoAttack",
                "description": "Worst case of the ensemble.",
                "attack": "autoattack",
            },
        },
        "semantics": [
            {
                "name": "demo",
                "label": "Perturbations",
                "dataset": "cifar10",
                "num_examples": 64,
                "attack": "pgd",
                "options": {"steps": 100, "step_factor": 1.5},
                "threat": {"norm": "linf", "epsilon_255": 4},
                "sign": "minus",
                "generators": semantics_table_spec()["generators"],
                "classifiers": semantics_table_spec()["classifiers"],
            }
        ],
        "jobs": {"train_model": ["demo_light", "demo_standard"], "make_table": ["recipes"]},
        "notes": ["A *note* with #signs, [brackets], $x$ and \\ that must survive as typed."],
        "follow": "code",
    }
