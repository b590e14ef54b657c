"""docs/experiments.md: all experiments of a configuration at a glance, made from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from robustvit.config.dataset_figures import written_figures
from robustvit.config.follow import unequal
from robustvit.config.report_jobs import job_counts
from robustvit.config.specs import model_spec, weights_owner
from robustvit.reporting.published import Published

HEAD = """# The experiments

Made from `workflow_config.yaml` by `python scripts/document_experiments.py --output
docs/experiments.md`; change the configuration, not this page.

The settings are those of `follow: code`; [below](#where-the-sources-contradict-each-other) is what
`follow: thesis` changes. Published values are in percent, with the place where they are printed.
"""
KINDS = {
    "pretrained": "Trained from scratch",
    "finetuned": "Fine-tuned",
    "evaluated": "Evaluated only",
}


def catalogue(config: Mapping, published: Published) -> str:
    """Return the page as Markdown.

    Args:
        config: resolved configuration.
        published: the numbers that its experiments name.
    """
    groups = {kind: [] for kind in KINDS}
    for name, entry in config["experiments"].items():
        groups[_kind(entry)].append(name)
    parts = [HEAD, _totals(config, groups), _jobs(config)]
    for kind, title in KINDS.items():
        rows = [_row(config, published, name) for name in groups[kind]]
        parts += [f"## {title}\n", _table(_columns(), rows)]
    parts += [_tables(config), _differences(config)]
    return "\n".join(parts)


def _kind(entry: Mapping) -> str:
    if not entry["recipe"]:
        return "evaluated"
    return "finetuned" if entry["init"] else "pretrained"


def _totals(config: Mapping, groups: Mapping) -> str:
    trained = len(groups["pretrained"]) + len(groups["finetuned"])
    return (
        f"{len(config['experiments'])} experiments, {trained} of them trainings "
        f"({len(groups['pretrained'])} from scratch, {len(groups['finetuned'])} fine-tuned); "
        f"{len(config['checkpoints'])} checkpoints of others, {len(config['tables'])} tables, "
        f"{len(written_figures(config))} figures.\n"
    )


def _jobs(config: Mapping) -> str:
    counts = job_counts(config)
    rows = [[f"`{rule}`", str(count)] for rule, count in counts.items()]
    total = [["in all", str(sum(counts.values()))]]
    return "## Jobs of the whole report, by stage\n\n" + _table(["stage", "jobs"], rows + total)


def _columns() -> list[str]:
    return [
        *("name", "label", "model", "data", "recipe", "threat", "starts from"),
        *("evaluations and published values", "source"),
    ]


def _row(config: Mapping, published: Published, name: str) -> list[str]:
    entry = config["experiments"][name]
    threat = entry["threat"] or entry["eval_threat"]
    return [
        f"`{name}`",
        entry["label"],
        _model(config, name),
        _data(config, entry),
        _recipe(config, entry),
        f"{threat['norm']}, {threat['epsilon_255']:g}/255" if threat else "none",
        _start(entry, config, name),
        _evaluations(config, published, entry),
        entry["source"],
    ]


def _model(config: Mapping, name: str) -> str:
    model = model_spec(config, name)
    label = config["models"][model["name"]]["label"]
    return f"{label}, patch {model['patch_size']}" if model["patch_size"] else label


def _data(config: Mapping, entry: Mapping) -> str:
    trained = entry.get("dataset") if entry["recipe"] else None
    names = list(dict.fromkeys(filter(None, (trained, entry["eval_dataset"]))))
    text = " → ".join(config["datasets"][name]["label"] for name in names)
    if entry["synthetic"]:
        share = f"{entry['synthetic']['ratio']:.0%}"
        text += f" with {share} {config['datasets'][entry['synthetic']['dataset']]['label']}"
    return text


def _recipe(config: Mapping, entry: Mapping) -> str:
    if not entry["recipe"]:
        return "–"
    recipe = {k: v for k, v in config["recipes"][entry["recipe_name"]].items() if k != "source"}
    changed = [f"{key} {_value(own)}" for key, _, own in unequal(recipe, entry["recipe"])]
    return "; ".join([f"`{entry['recipe_name']}`", *changed])


def _start(entry: Mapping, config: Mapping, name: str) -> str:
    if entry["recipe"]:
        return f"`{next(iter(entry['init'].values()))}`" if entry["init"] else "scratch"
    return f"weights of `{weights_owner(config, name)[1]}`"


def _evaluations(config: Mapping, published: Published, entry: Mapping) -> str:
    parts = []
    for protocol in entry["evaluate"]:
        found = [published.entry(key) for key in entry["published"].get(protocol, [])]
        values = [f"{e.text} ({_place(e.source, e.table)})" for e in found]
        label = config["protocols"][protocol]["label"]
        parts.append(f"{label}: {', '.join(values)}" if values else label)
    return "<br>".join(parts) or "–"


def _place(source: str, table: str) -> str:
    return {"thesis": table, "readme": "README"}.get(source, source)


def _tables(config: Mapping) -> str:
    rows = [
        [f"`{name}`", entry["title"], "yes" if name in config["report"][section] else "no"]
        for section, entries in (("tables", config["tables"]), ("figures", written_figures(config)))
        for name, entry in entries.items()
    ]
    return "## Tables and figures\n\n" + _table(["target", "title", "in the report"], rows)


def _differences(config: Mapping) -> str:
    rows = [
        [str(c["item"]), c["about"], c["thesis"], c["code"], _settled(c, config["differences"])]
        for c in config["contradictions"]
    ]
    head = ["", "about", "thesis", "code, README", "`follow: code` → `follow: thesis`"]
    return "## Where the sources contradict each other\n\n" + _table(head, rows)


def _settled(contradiction: Mapping, differences: Iterable[Mapping]) -> str:
    if "handled" in contradiction:
        return contradiction["handled"]
    return "<br>".join(
        f"`{found['where']}.{found['key']}`: {_value(found['code'])} → {_value(found['thesis'])}"
        for found in differences
        if contradiction["item"] in found["items"]
    )


def _value(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def _table(columns: list[str], rows: Iterable[list[str]]) -> str:
    return "\n".join(_lines(columns, rows)) + "\n"


def _lines(columns: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "---|" * len(columns)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
