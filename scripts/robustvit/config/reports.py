"""What tables, figures and the report are told: names of experiments with their labels."""

from __future__ import annotations

from collections.abc import Mapping

from robustvit.config import inputs
from robustvit.config.captions import figure_values, fill, table_values
from robustvit.config.claims import claims_spec, report_claim_analyses
from robustvit.config.lineage import trained_on
from robustvit.config.made_with import made_with
from robustvit.config.report_jobs import report_jobs
from robustvit.config.specs import gather_spec, model_spec, num_examples, weights_owner


def labelled(config: Mapping, names: list[str]) -> list[dict]:
    """Experiments as the report shows them."""
    return [{"experiment": n, "label": config["experiments"][n]["label"]} for n in names]


def asked(config: Mapping, name: str, protocols: list[str]) -> list[str]:
    """Those of `protocols` that the experiment is evaluated with; other files are leftovers."""
    return [p for p in protocols if p in config["experiments"][name]["evaluate"]]


def column(config: Mapping, protocol: str) -> dict:
    """A protocol as a column: the metric it measures and its label."""
    entry = config["protocols"][protocol]
    metric = "robust_top1" if entry["attack"] else "clean_top1"
    return {"protocol": protocol, "metric": metric, "label": entry["label"]}


def table_spec(config: Mapping, name: str) -> dict:
    """One table of the report."""
    entry = config["tables"][name]
    common = {
        "name": name,
        "kind": entry.get("kind", "evaluation"),
        "title": entry["title"],
        "caption": fill(
            entry.get("caption", ""), table_values(config, entry), f"tables.{name}.caption"
        ),
        "comparison": entry.get("comparison", "direction"),
    }
    if common["kind"] == "semantics":
        return common | _semantics_table(config, entry)
    if common["kind"] == "overfitting":
        rows = [
            row | {"attacks": _attack_labels(config, row["experiment"])}
            for row in labelled(config, entry.get("rows", []))
        ]
        return common | {"rows": rows}
    columns = entry.get("columns", [])
    rows = [_row(config, name, row, columns) for row in entry.get("rows", [])]
    return common | {"columns": [column(config, c) for c in columns], "rows": rows}


def _row(config: Mapping, table: str, row: str | Mapping, columns: list[str]) -> dict:
    quoted = not isinstance(row, str)
    entry = row if quoted else config["experiments"][row]
    return {
        "experiment": None if quoted else row,
        "label": entry["label"],
        "dataset": None if quoted else entry["eval_dataset"],
        "trained_on": [] if quoted else trained_on(config, row),
        "published": {
            protocol: quoted_key(keys, table, config["tables"][table].get("prefer"))
            for protocol, keys in entry["published"].items()
            if protocol in columns
        },
        "published_label": entry.get("published_label", ""),
        "evaluate": [] if quoted else asked(config, row, columns),
    }


def quoted_key(keys: str | list[str], table: str, prefer: str | None = None) -> str:
    """The key of a published number that a table shows, where it stands in several places.

    A table takes the number with the start `prefer`, else the thesis' number of the same table,
    else the first one.
    """
    keys = [keys] if isinstance(keys, str) else keys
    start = f"{prefer or f'thesis.{table}'}."
    return next((key for key in keys if key.startswith(start)), keys[0])


def _semantics_table(config: Mapping, entry: Mapping) -> dict:
    analysis = config["semantics"][entry["semantics"]]
    return {
        "semantics": entry["semantics"],
        "dataset": analysis["dataset"],
        "generators": _trained(config, analysis["generators"]),
        "classifiers": _trained(config, analysis["classifiers"]),
        "published": entry.get("published", {}),
        "controls": analysis.get("controls", []) if entry.get("controls") else [],
    }


def _trained(config: Mapping, names: list[str]) -> list[dict]:
    """Experiments as the report shows them, with what they were trained on."""
    shown = labelled(config, names)
    return [row | {"trained_on": trained_on(config, row["experiment"])} for row in shown]


def figure_options(config: Mapping, name: str) -> dict:
    """A figure's options with every name of an analysis or experiment written out with labels."""
    options = dict(config["figures"][name].get("options", {}))
    if "semantics" in options:
        analysis = config["semantics"][options["semantics"]]
        options["generators"] = labelled(config, analysis["generators"])
        options["sign"] = analysis.get("sign", "minus")
    if "gradients" in options:
        experiments = config["gradients"][options["gradients"]]["experiments"]
        options["models"] = labelled(config, experiments)
        options["folder"] = f"gradients/{options['gradients']}"
    if "attack_losses" in options:
        options |= _losses_options(config, options["attack_losses"])
    if "experiments" in options:
        options["experiments"] = labelled(config, options["experiments"])
        shown = options.get("protocols") or list(config["protocols"])
        options["rows"] = [
            row
            | {"evaluate": asked(config, row["experiment"], shown)}
            | {"chosen_on_test": _chosen_on_test(config, row["experiment"])}
            | {"attacks": _attack_labels(config, row["experiment"])}
            | {"epsilon_255": _radius(config, row["experiment"])}
            for row in options["experiments"]
        ]
    if "protocols" in options:
        options["protocols"] = [column(config, protocol) for protocol in options["protocols"]]
    if "datasets" in options:
        options["datasets"] = [
            {"name": name, "label": config["datasets"][name]["label"]}
            for name in options["datasets"]
        ]
    if options.get("rulegraph"):
        options["dot"] = "rulegraph.dot"
    return options


def _losses_options(config: Mapping, name: str) -> dict:
    """What a figure of losses under attack is told of its analysis."""
    entry = config["attack_losses"][name]
    return {
        "folder": f"losses/{name}",
        "models": labelled(config, entry["experiments"]),
        "epochs": entry.get("epochs"),
        "steps": sorted(entry["steps"]),
    }


def _radius(config: Mapping, name: str) -> float:
    """Radius of an experiment's evaluation in 1/255; 0 without an attack."""
    return (config["experiments"][name]["eval_threat"] or {"epsilon_255": 0})["epsilon_255"]


def _attack_labels(config: Mapping, name: str) -> list[str] | None:
    """Names of the two attacks that a training is watched with; None if it is not."""
    recipe = config["experiments"][name]["recipe"]
    if not recipe or not recipe["watch"]:
        return None
    return [f"PGD-{recipe[part]['steps']}" for part in ("attack", "watch")]


def _chosen_on_test(config: Mapping, name: str) -> bool:
    """Whether evaluation images had a part in choosing the weights that are evaluated."""
    kind, owner = weights_owner(config, name)
    if kind == "checkpoint":
        return False
    return config["experiments"][owner]["recipe"]["selection"] == "test"


def figure_spec(config: Mapping, name: str) -> dict:
    """One figure of the report."""
    entry = config["figures"][name]
    return {
        "name": name,
        "kind": entry["kind"],
        "title": entry["title"],
        "caption": fill(
            entry["caption"],
            figure_values(config, entry.get("options", {})),
            f"figures.{name}.caption",
        ),
        "options": figure_options(config, name),
    }


def _shown_figure(config: Mapping, name: str) -> dict:
    figure = figure_spec(config, name)
    return {key: figure[key] for key in ("name", "title", "caption")}


def report_spec(config: Mapping) -> dict:
    """Everything that the summary and the report are about."""
    experiments = inputs.report_experiments(config)
    protocols = {p for name in experiments for p in config["experiments"][name]["evaluate"]}
    datasets = inputs.report_datasets(config)
    shown = [name for name in config["protocols"] if name in protocols]
    return {
        "order": {"experiments": experiments, "datasets": datasets, "protocols": shown},
        "name": config["name"],
        "title": config["title"],
        "follow": config["follow"] if config["contradictions"] else None,
        "notes": config["report"]["notes"],
        "tables": config["report"]["tables"],
        "claims": config["report"]["claims"],
        "figures": [
            _shown_figure(config, name) | {"of_dataset": name not in config["report"]["figures"]}
            for name in inputs.report_figures(config)
        ],
        "gallery": [_shown_figure(config, name) for name in config["report"]["gallery"]],
        "experiments": {name: _experiment(config, name) for name in experiments},
        "datasets": {name: _dataset(config, name) for name in datasets},
        "protocols": {name: config["protocols"][name] for name in shown},
        "checkpoints": inputs.report_checkpoints(config),
        "semantics": _semantics(config),
        "differences": report_differences(config, experiments),
        "jobs": report_jobs(config),
        "cost": {"site": config["plan"]["site"]},
    }


def now_spec(config: Mapping) -> dict:
    """The report's settings with those of its tables, figures and results, to make it at once."""
    report = config["report"]
    figures = [*inputs.report_figures(config), *report["gallery"]]
    shown = report_spec(config)
    return {
        "report": shown,
        "tables": [table_spec(config, name) for name in report["tables"]],
        "figures": [figure_spec(config, name) for name in figures],
        "claims": claims_spec(config) if report["claims"] else None,
        "made_with": made_with(config, shown),
    }


def report_differences(config: Mapping, experiments: list[str]) -> list[dict]:
    """The contradictions between the sources, with the settings of these experiments they change.

    Returns:
        The entries of `differences` as written, each with its `settings`: [{"where", "key",
        "code", "thesis"}].
    """
    used = {f"experiments.{name}" for name in experiments}
    entries = [config["experiments"][name] for name in experiments]
    used |= {f"recipes.{entry['recipe_name']}" for entry in entries}
    used |= {f"models.{entry['model']}" for entry in entries if entry.get("model")}
    used |= {f"semantics.{name}" for name in config["semantics"]}
    shown = [found for found in config["differences"] if found["where"] in used]
    return [
        {
            **{key: entry.get(key) for key in ("item", "about", "thesis", "code", "handled")},
            "settings": [
                {key: found[key] for key in ("where", "key", "code", "thesis")}
                for found in shown
                if entry["item"] in found["items"]
            ],
        }
        for entry in config["contradictions"]
    ]


def _dataset(config: Mapping, name: str) -> dict:
    entry = config["datasets"][name]
    keys = ("label", "source", "image_size", "eval_split", "num_classes")
    return {key: entry[key] for key in keys}


def _experiment(config: Mapping, name: str) -> dict:
    entry = config["experiments"][name]
    kind, owner = weights_owner(config, name)
    model = model_spec(config, name)
    return {
        "label": entry["label"],
        "model": config["models"][model["name"]]["label"],
        "dataset": entry.get("dataset") or entry["eval_dataset"],
        "synthetic": entry["synthetic"],
        "eval_dataset": entry["eval_dataset"],
        "monitor_dataset": entry["monitor_dataset"],
        "recipe_name": entry["recipe_name"],
        "recipe": entry["recipe"],
        "threat": entry["threat"],
        "eval_threat": entry["eval_threat"],
        "init": entry["init"],
        "weights": {kind: owner},
        "patch_size": model["patch_size"],
        "normalization": model["normalization"],
        "evaluate": {p: num_examples(config, name, p) for p in entry["evaluate"]},
        "images": _images(config, name),
        "seed": entry["seed"],
        "source": entry["source"],
    }


def _images(config: Mapping, name: str) -> dict | None:
    """How the experiment's evaluations bring images to the model's size; None without any."""
    protocols = config["experiments"][name]["evaluate"]
    if not protocols:
        return None
    read = gather_spec(config, name, protocols[0], dict.fromkeys(config["datasets"], False))
    return {key: read["dataset"][key] for key in ("image_size", "crop_pct", "interpolation")}


def _semantics(config: Mapping) -> list[dict]:
    """Analyses that the report shows; one that only figures show has nothing to be classified."""
    report = config["report"]
    tables = {config["tables"][name].get("semantics") for name in report["tables"]}
    tables.update(report_claim_analyses(config))
    options = (config["figures"][name].get("options", {}) for name in inputs.shown_figures(config))
    shown = tables | {option.get("semantics") for option in options}
    return [
        {
            "name": name,
            **entry,
            "generators": labelled(config, entry["generators"]),
            "classifiers": labelled(config, entry["classifiers"]) if name in tables else [],
        }
        for name, entry in config["semantics"].items()
        if name in shown
    ]
