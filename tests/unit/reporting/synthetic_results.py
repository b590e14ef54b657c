"""A small invented results root that has every kind of file the report reads."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import yaml
from analysis_samples import write_analyses
from PIL import Image

CLASSES = ["airplane", "automobile", "bird", "cat"]
EXPERIMENTS = {
    "demo_light": "XCiT-demo, light recipe",
    "demo_canonical": "XCiT-demo, canonical recipe",
    "demo_standard": "XCiT-demo, standard training",
    "demo_cifar": "XCiT-demo, fine-tuned on CIFAR-10 (TRADES)",
}
ACCURACY = {  # clean, AutoAttack: hits of 64 images
    "demo_light": (44, 28),
    "demo_canonical": (40, 22),
    "demo_standard": (55, 0),
    "demo_cifar": (47, 30),
}
ATTACKS = {name: {"success": 1} for name in ("apgd-ce", "apgd-dlr", "fab-t", "square")}
PROVENANCE = {
    "commit": "0123456789abcdef0123456789abcdef01234567",
    "created": "2026-01-02T03:04:05+00:00",
    "python": "3.11.7",
    "versions": {"torch": "2.9.0", "timm": "1.0.31", "pyautoattack": "0.2.0"},
    "device": "cpu",
    "processor": "Example CPU @ 2.0 GHz",
    "cores": 2,
    "seed": 42,
    "seconds": 61.5,
}
DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
    node[shape=box, style=rounded, fontname=sans, fontsize=10, penwidth=2];
    edge[penwidth=2, color=grey];
"""
RULES = [
    ("fetch_source", "build_dataset"),
    ("make_stand_in", "build_dataset"),
    ("fetch_source", "make_stand_in"),
    ("build_dataset", "train_model"),
    ("build_dataset", "evaluate_model"),
    ("train_model", "evaluate_model"),
    ("import_checkpoint", "classify_perturbations"),
    ("fetch_checkpoint", "import_checkpoint"),
    ("evaluate_model", "gather_evaluation"),
    ("gather_evaluation", "make_table"),
    ("train_model", "make_perturbations"),
    ("build_dataset", "make_perturbations"),
    ("make_perturbations", "classify_perturbations"),
    ("make_perturbations", "make_figure"),
    ("classify_perturbations", "make_table"),
    ("train_model", "accumulate_gradients"),
    ("accumulate_gradients", "make_figure"),
    ("train_model", "make_figure"),
    ("gather_evaluation", "make_figure"),
    ("draw_rulegraph", "make_figure"),
    ("make_table", "write_summary"),
    ("make_figure", "render_report"),
    ("write_summary", "render_report"),
    ("render_report", "all"),
]


def proportion(k: int, n: int) -> dict:
    """Wilson interval of k of n."""
    z, p = 1.96, k / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return {"value": p, "low": min(low, p), "high": max(high, p), "k": k, "n": n}


def write(path: Path, value: object) -> None:
    """Write JSON, YAML or text, by the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".json":
        path.write_text(json.dumps(value), encoding="utf-8")
    elif path.suffix == ".yaml":
        path.write_text(yaml.safe_dump(value), encoding="utf-8")
    else:
        path.write_text(str(value), encoding="utf-8")


def example_images(number: int, side: int, seed: int) -> np.ndarray:
    """Smooth colourful pictures [N, 3, H, W] in [0, 1]."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((number, 3, 4, 4))
    fine = np.kron(coarse, np.ones((1, 1, side // 4, side // 4)))
    return (0.7 * fine + 0.3 * rng.random(fine.shape)).astype(np.float32)


def write_evaluations(root: Path) -> None:
    """Evaluate each experiment: clean, AutoAttack and PGD-10."""
    for name, (clean, robust) in ACCURACY.items():
        dataset = "cifar10" if name == "demo_cifar" else "imagenet_demo"
        common = {"experiment": name, "chance": 0.25, "stand_in": dataset != "cifar10", "seed": 42}
        common |= {"dataset": dataset, "split": "val", "provenance": PROVENANCE}
        threat = {"norm": "linf", "epsilon_255": 8 if name == "demo_cifar" else 4}
        checks = [
            {"name": "ball (square)", "passed": True, "detail": "largest perturbation = ε"},
            {"name": "white box", "passed": name != "demo_canonical", "detail": "0.4% more"},
        ]
        for protocol, hits in (("clean", None), ("autoattack", robust), ("pgd10", robust + 2)):
            record = common | {"threat": None, "checks": [], "protocol": protocol}
            record |= {"attacks": ATTACKS if protocol == "autoattack" else {}}
            record |= {"clean_top1": proportion(clean, 64)}
            if hits is not None:
                record |= {"robust_top1": proportion(hits, 64), "threat": threat, "checks": checks}
            write(root / f"eval/{name}/{protocol}.json", record)


def write_trainings(root: Path, epochs: int = 12) -> None:
    """Write curves that rise and a config with provenance."""
    for index, name in enumerate(EXPERIMENTS):
        lines = ["epoch,lr,epsilon_255,train_loss,eval_clean_top1,eval_robust_top1"]
        for epoch in range(epochs):
            rise = 1 - np.exp(-(epoch + 1) / 4)
            robust = "" if name == "demo_standard" else f"{0.45 * rise - 0.04 * index:.4f}"
            clean = 0.8 * rise - 0.05 * index
            lines.append(f"{epoch},0.001,4.0,{1.4 - rise:.4f},{clean:.4f},{robust}")
        write(root / f"train/{name}/metrics.csv", "\n".join(lines) + "\n")
        write(root / f"train/{name}/config.yaml", {"experiment": name, "provenance": PROVENANCE})


def write_semantics(root: Path, side: int = 32, number: int = 12) -> None:
    """Write perturbations of a robust and a standard model and their classification."""
    images, labels = example_images(number, side, 0), np.arange(number) % len(CLASSES)
    for name, hits in (("demo_light", 31), ("demo_standard", 15)):
        folder = root / "semantics/demo" / name
        delta = 4 / 255 * np.sign(example_images(number, side, hits) - 0.5)
        picture = np.round(255 * (delta + 4 / 255) / (8 / 255)).astype(np.uint8)
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(
            folder / "examples.npz",
            images=images,
            adversarial=np.clip(images + delta, 0, 1).astype(np.float32),
            perturbation=picture.transpose(0, 2, 3, 1),
            epsilon=np.array(4 / 255, np.float32),
            labels=labels,
            label_names=np.array(CLASSES)[labels],
            prediction=labels,
            adversarial_prediction=labels if name == "demo_light" else (labels + 1) % 4,
            class_names=np.array(CLASSES),
        )
        record = {"top1": proportion(hits, 64), "top5": proportion(min(64, hits + 20), 64)}
        record |= {"chance_top1": 0.1, "chance_top5": 0.5, "p_value_top1": 1e-9}
        write(folder / "cifar_resnet18.json", record | {"provenance": PROVENANCE})
        write(folder / "manifest.json", {"dataset": "perturbations"})


def write_comparison(root: Path) -> None:
    """Compare the perturbations of both models; one control is off chance."""
    control = {"generator": "demo_standard", "classifier": "cifar_resnet18", "metric": "top1"}
    control |= {"control": "shuffled_pixels", "measured": proportion(16, 64), "expected": 0.1}
    control |= {"verdict": "above chance", "p_value": 0.0002, "p_holm": 0.0004}
    found = {"semantics": "demo", "test": "some test", "pairs": [], "control_test": "another"}
    found |= {"controls": [control], "controls_at_chance": False}
    write(root / "semantics/demo/comparison.json", found)


def write_gradients(root: Path, side: int = 32) -> None:
    """Write accumulated gradients of two models towards three targets."""
    (root / "gradients").mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(("demo_light", "demo_standard")):
        np.savez(
            root / f"gradients/{name}.npz",
            start=(example_images(1, side, 9)[0] > 0.5).astype(np.float32),
            results=example_images(3, side, seed),
            targets=np.array([0, 2, 3]),
            target_names=np.array(["airplane", "bird", "cat"]),
            probability=np.array([0.99, 0.87, 1.0]),
        )


def write_datasets(root: Path) -> None:
    """Write manifests: a real set and a stand-in."""
    for name, stand_in in (("cifar10", False), ("imagenet_demo", True)):
        manifest = {
            "dataset": name,
            "stand_in": stand_in,
            "origin": "stand-in" if stand_in else "npm",
            "classes": CLASSES,
            "image_shape": [None, None, 3] if stand_in else [32, 32, 3],
            "splits": {"train": {"num_examples": 12000}, "val": {"num_examples": 400}},
            "sha256": "ab" * 32,
            "provenance": PROVENANCE,
        }
        write(root / f"datasets/{name}/manifest.json", manifest)


def write_pictures(root: Path) -> None:
    """Build two small data sets with real files: one of squares, one of a stand-in's oblongs."""
    from robustvit.data.building import DatasetPlan, Example
    from robustvit.data.writing import write_dataset

    for name, shape, stand_in in (("squares", (32, 32), False), ("oblongs", (200, 240), True)):
        images = [Image.new("RGB", shape[::-1], (40 * i, 90, 255 - 40 * i)) for i in range(6)]
        examples = [
            Example("test", f"{name}/{i}", i % 3, encode(image)) for i, image in enumerate(images)
        ]
        plan = DatasetPlan(CLASSES[:3], ["test"], lambda e=examples: iter(e), encoding="png")
        source = {"stand_in": stand_in, "origin": "mirror", "sha256": {}}
        path = root / f"datasets/{name}/manifest.json"
        write_dataset(plan, path, dataset=name, builder="synthetic", source=source)


def encode(image: Image.Image) -> bytes:
    """The image as PNG."""
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()


def write_benchmarks(root: Path) -> None:
    """Write benchmark files as Snakemake does, one of them with unknown memory."""
    head = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    for name, seconds in (("demo_light", 120.5), ("demo_standard", 60.25)):
        line = f"{seconds}\t0:02:00\t812.5\t1\t1\t1\t0\t0\t99\t100\n"
        write(root / f"benchmarks/train_model/{name}.tsv", head + line)
    write(
        root / "benchmarks/make_table/recipes.tsv", head + "0.4\t0:00:00\t-\t-\t-\t-\t0\t0\t0\t0\n"
    )


def build_root(root: Path) -> Path:
    """Write everything that trainings, evaluations and analyses would have left."""
    write_evaluations(root)
    write_trainings(root)
    write_semantics(root)
    write_comparison(root)
    write_gradients(root)
    write_datasets(root)
    write_benchmarks(root)
    write_pictures(root)
    write_analyses(root)
    write(root / "rulegraph.dot", dot_text())
    return root


def dot_text(rules: list[tuple[str, str]] = RULES) -> str:
    """A rule graph as `snakemake --rulegraph dot` prints it."""
    names = sorted({name for edge in rules for name in edge})
    nodes = [
        f'\t{i}[label = "{n}", color = "0.1 0.6 0.85", style="rounded"];'
        for i, n in enumerate(names)
    ]
    edges = [f"\t{names.index(a)} -> {names.index(b)}" for a, b in rules]
    return DOT + "\n".join(nodes + edges) + "\n}\n"
