"""The report as a list of sections made of blocks, the same for the PDF and for the HTML page."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting import document_tables as tables
from robustvit.reporting.blocks import bullets, entry, note, section, text

PROTOCOL = (
    "Inputs are pixels in [0, 1]; any normalisation is a layer of the model, so ε is measured on "
    "the pixels that the model is given, after resizing and cropping. An image counts as robust "
    "only if the model classifies it correctly unchanged and under every attack of the protocol. "
    "All accuracies are top-1 over single images, with Wilson’s 95 % intervals in brackets."
)
SMALLER = (
    "They are numbers of the thesis, its repository or other papers for the full-size problem "
    "(ImageNet-scale data, models and schedules). The values measured here come from a far smaller "
    "problem. They stand side by side to show whether the direction of an effect is the same, "
    "never that the numbers should be equal."
)
OTHER = "Not all results are of the settings and weights that the run has now."
OLDER = (
    "They are shown with the mark § and get no verdict. What was run, how the models were trained "
    "and the settings in the appendix are those of the configuration now, not of these results. "
    "The arrow points from the setting that a result was made with to that of now. To make them "
    "with the settings of now, start the run again."
)
ORIGINS = (
    "The number in brackets behind each result, such as [1], is that of the line which says where "
    "it comes from."
)


def build_document(words: dict) -> list[dict]:
    """Arrange what `display.build_display` has put into words.

    Args:
        words: the parts of the display; empty parts make short sections or none.

    Returns:
        Sections in order (see `blocks.section`); those with `appendix` follow the main text.
    """
    parts = (
        *(_other_settings, _experiments, _datasets, _protocol, _claims, _results, _figures),
        *(_checks, _cost, _provenance, _missing, _gallery, _pictures, _settings, _origins),
        _differences,
    )
    return [found for part in parts for found in part(words)]


def _other_settings(words: dict) -> Iterator[dict]:
    """Results that the configuration does not describe any more; nothing where there are none."""
    if words["other_settings"]:
        box = note(OTHER, [OLDER], words["other_settings"], tone="warning")
        yield section("other-settings", "Results of other settings", [box])


def _experiments(words: dict) -> Iterator[dict]:
    if not words["experiments"]:
        sentence = text("No experiment belongs to this report.")
        yield section("experiments", "What was run", [sentence])
        return
    settings = " The appendix lists all its settings." if words["settings"] else ""
    lead = f"Each row is one experiment of the configuration.{settings}"
    blocks = [text(" ".join(filter(None, (lead, words["follow"]))))]
    yield section(
        "experiments", "What was run", [*blocks, tables.experiments_table(words["experiments"])]
    )
    if words["recipes"]:
        recipes = [
            entry(recipe["name"], f"({recipe['used']}) {recipe['text']}")
            for recipe in words["recipes"]
        ]
        yield section("recipes", "How the models were trained", recipes, 2)


def _datasets(words: dict) -> Iterator[dict]:
    blocks = [text("No data set belongs to this report.")]
    if words["datasets"]:
        blocks = [tables.datasets_table(words["datasets"])]
    pictured = any(figure["of_dataset"] and figure["made"] for figure in words["figures"])
    blocks += [text("The appendix shows images of each and counts its classes.")] * pictured
    yield section("data-sets", "Data sets", blocks)


def _protocol(words: dict) -> Iterator[dict]:
    found = words["protocol"]
    blocks = [text(PROTOCOL)]
    blocks += [bullets(found["sentences"])] if found["sentences"] else []
    blocks += [tables.protocols_table(found["protocols"])] if found["protocols"] else []
    yield section("protocol", "Protocol", blocks)


def _claims(words: dict) -> Iterator[dict]:
    """What runs of several seeds say of claims; nothing where none is asked for."""
    found = words["claims"]
    if found["rows"]:
        blocks = [text(" ".join(found["sentences"])), tables.claims_table(found["rows"])]
        blocks += [bullets(found["notes"])] if found["notes"] else []
        yield section("claims", "Claims", blocks)


def _results(words: dict) -> Iterator[dict]:
    if not words["tables_asked"]:
        return
    blocks = [] if words["tables"] else [text("No table was made yet.")]
    shown = [t for t in words["tables"] if t["published"]]
    if any(t["comparison"] == "direction" for t in shown):
        blocks.append(note("How to read the published values.", [SMALLER]))
    verdicts = words["verdicts"]
    if verdicts["counts"]:
        blocks += [text(verdicts["counts"]), note("How verdicts are given.", verdicts["rule"])]
    if words["origins"] and words["tables"]:
        blocks.append(text(ORIGINS))
    yield section("results", "Results", blocks)
    for found in words["tables"]:
        name = f"table-{found['name']}"
        yield section(name, found["title"], [{"type": "results", **found}], 2)


def _figures(words: dict) -> Iterator[dict]:
    figures = [f for f in words["figures"] if not f["of_dataset"] and not f["gallery"]]
    if figures:
        yield section("figures", "Figures", figures)


def _missing(words: dict) -> Iterator[dict]:
    """The files that are missing, if they are too many for the head of the report."""
    if words["missing"]["number"] and not words["missing"]["few"]:
        blocks = [{"type": "missing", **group} for group in words["missing"]["groups"]]
        yield section("missing", "What is missing", blocks, appendix=True)


def _pictures(words: dict) -> Iterator[dict]:
    """Pictures that were made; the others are among what is missing."""
    figures = [figure for figure in words["figures"] if figure["of_dataset"] and figure["made"]]
    if figures:
        yield section("pictures", "Pictures of the data sets", figures, appendix=True)


def _gallery(words: dict) -> Iterator[dict]:
    figures = [figure for figure in words["figures"] if figure["gallery"]]
    if figures:
        yield section("gallery", "Gallery", figures, appendix=True, web_only=True)


def _checks(words: dict) -> Iterator[dict]:
    blocks = [text("No evaluation with checks was there when this report was written.")]
    if words["checks"]:
        blocks = [tables.checks_table(words["checks"])]
    yield section("checks", "Safety checks", blocks)


def _cost(words: dict) -> Iterator[dict]:
    blocks = [text("No benchmark files were there when this report was written.")]
    if words["stages"]:
        blocks = [tables.stages_table(words["stages"])]
    cost = words["cost"]
    blocks += [text(sentence) for sentence in cost["sentences"]]
    blocks += [tables.cost_table(cost)] if cost["rows"] else []
    yield section("cost", "Time and cost", blocks)


def _provenance(words: dict) -> Iterator[dict]:
    yield section("provenance", "Provenance", [tables.provenance_table(words["provenance"])])


def _settings(words: dict) -> Iterator[dict]:
    if words["settings"]:
        blocks = [{"type": "settings", **found} for found in words["settings"]]
        yield section("settings", "Settings of every experiment", blocks, appendix=True)


def _origins(words: dict) -> Iterator[dict]:
    if words["origins"]:
        blocks = [tables.origins_table(words["origins"])]
        yield section("origins", "Where each number comes from", blocks, appendix=True)


def _differences(words: dict) -> Iterator[dict]:
    found = words["differences"]
    if not found["rows"]:
        return
    others = (
        f"{found['others']} further contradictions change no setting of this run; the project’s "
        "page of experiments lists all."
    )
    lead = " ".join(filter(None, (words["follow"], others * bool(found["others"]))))
    blocks = [*([text(lead)] if lead else []), tables.differences_table(found["rows"])]
    title = "Where thesis and released code differ"
    yield section("differences", title, blocks, appendix=True)
