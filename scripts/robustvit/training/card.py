"""The model card: what a person who finds the weights has to know."""

from __future__ import annotations

import yaml

from robustvit.training.usage import loading_lines, robustbench_lines


def model_card(record: dict, row: dict) -> str:
    """Return a model card in Markdown with a YAML header, as model hubs read it.

    Args:
        record: the content of `config.yaml` (see `outputs.describe`).
        row: metrics of the epoch whose weights were kept.
    """
    header = yaml.safe_dump(_header(record), sort_keys=False).strip()
    sections = [
        f"---\n{header}\n---",
        f"# {record['experiment']}",
        _summary(record),
        "## Numbers\n\n" + _numbers(record, row),
        "## How to load\n\n" + _usage(record),
        "## Recipe\n\n```yaml\n" + yaml.safe_dump(record["recipe"], sort_keys=False) + "```",
        "## Origin\n\n" + _origin(record),
    ]
    return "\n\n".join(sections) + "\n"


def _header(record: dict) -> dict:
    return {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "datasets": [record["dataset"]["name"]],
        "tags": ["adversarial-robustness", record["model"]["family"]],
    }


def threat_in_words(threat: dict | None) -> str:
    """Return "L∞, ε = 4/255" or "none"."""
    if threat is None:
        return "none"
    norm = {"linf": "L∞", "l2": "L2"}.get(threat["norm"], threat["norm"])
    return f"{norm}, ε = {threat['epsilon_255']:g}/255"


def _summary(record: dict) -> str:
    trained, data, model = record["trained"], record["dataset"], record["model"]
    stand_in = " (a stand-in, not the original data)" if data.get("stand_in") else ""
    init = record.get("init")
    lines = [
        f"- model: {model['name']}, {trained['parameters']:,} parameters, "
        f"{model['num_classes']} classes, {model['image_size']} px",
        f"- trained on: {data['name']}{stand_in}, {trained['train_examples']:,} images, "
        f"{trained['epochs']} epochs of {trained['steps_per_epoch']} steps{_mixture(record)}",
        f"- loss: {record['recipe']['loss']['name']}; threat: {threat_in_words(record['threat'])}",
        f"- initial weights: {init['name'] if init else 'random'}",
    ]
    return "\n".join(lines)


def _mixture(record: dict) -> str:
    synthetic = record.get("synthetic")
    if not synthetic:
        return ""
    count, name = record["trained"]["synthetic_examples"], synthetic["dataset"]["name"]
    return f"; {synthetic['ratio']:.0%} of each batch from the {count:,} synthetic images of {name}"


def _numbers(record: dict, row: dict) -> str:
    trained = record["trained"]
    split = "test set" if trained["eval_split"] == "test" else "held-out part of the training set"
    rows = [("clean", row["eval_clean_top1"]), ("training attack", row["eval_robust_top1"])]
    table = "\n".join(f"| {kind} | {value:.2%} |" for kind, value in rows if value is not None)
    chosen = {
        "last": "The last epoch's weights were kept; no accuracy had a part in that choice.",
        "test": "The best epoch on the test set itself was kept, as in the paper.",
        "holdout": "The best epoch on the held-out part was kept; the test set was not looked at.",
    }[trained["selected_by"]]
    return (
        f"Top-1 on {trained['eval_examples']:,} images of the {split}, epoch "
        f"{trained['selected_epoch']}. {chosen} The training attack is weak: AutoAttack's "
        f"numbers are in the evaluation's results.\n\n| images | top-1 |\n|---|---|\n{table}"
    )


def _usage(record: dict) -> str:
    model = record["model"]
    values = model.get("normalization")
    inputs = (
        "Pixels in [0, 1] go in as they are: the model was trained without normalisation."
        if values is None
        else f"Inputs are normalised with mean {values['mean']} and std {values['std']} (in [0, 1] "
        "units) before they reach these weights; adversarial examples belong to pixels in [0, 1], "
        "so let an attack see the normalisation as a part of the model."
    )
    about = f"The keys are those of the network itself (timm's names), in safetensors. {inputs}"
    lines = loading_lines(model)
    if lines is None:
        own = f"scripts/robustvit/models/families/{model['family']}.py"
        return f"{about} The network is built by `{own}` of the project that trained it."
    parts = [about, f"With torch, timm and safetensors:\n\n{_python(lines)}"]
    if robustbench := robustbench_lines(model):
        parts.append(f"In RobustBench's own class of this model:\n\n{_python(robustbench)}")
    parts.append(
        "`images` are float32 [B, 3, "
        f"{model['image_size']}, {model['image_size']}] with pixels in [0, 1]; column i of the "
        "logits is class i of `classes` in the file's header."
    )
    return "\n\n".join(parts)


def _python(lines: str) -> str:
    return f"```python\n{lines}\n```"


def _origin(record: dict) -> str:
    origin = record["provenance"]
    versions = ", ".join(f"{name} {version}" for name, version in origin["versions"].items())
    return "\n".join(
        [
            f"- commit {origin['commit']}, seed {origin['seed']}, {origin['created']}",
            *(f"- {name}: SHA-256 {digest}" for name, digest in record["inputs"].items() if digest),
            f"- {origin['device']} ({origin['processor']}), {origin['seconds'] or 0:.0f} s",
            f"- Python {origin['python']}, {versions}",
        ]
    )
