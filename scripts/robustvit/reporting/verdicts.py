"""What a measured number says about a published one, and when the two cannot be compared.

The rule is printed in every report (`RULE`): a number agrees if the published value, as far as it
was printed, lies inside the 95% interval of the measured one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from robustvit.reporting.formatting import sentence_list
from robustvit.reporting.protocols import weaknesses
from robustvit.reporting.published import Entry
from robustvit.reporting.published_attacks import (
    other_attack,
    other_effort,
    other_images,
    other_sign,
)

AGREES, DIFFERS = "agrees", "differs"
NOT_COMPARABLE, NOT_RUN = "not comparable", "not run"
VERDICTS = (AGREES, DIFFERS, NOT_COMPARABLE, NOT_RUN)
SMALLER = "a far smaller problem"
OTHER_SETTINGS = "settings or weights that the run does not have now"
RULE = (
    "A measured number agrees with a published one if the published value, give or take half a "
    "unit of its last printed digit, lies inside the 95 % interval of the measured one; it "
    "differs if the value lies outside.",
    "The interval is Wilson’s and follows from the number of images, so that few images make it "
    "wide: beneath a table stands how large a difference could have gone unnoticed. It holds "
    "neither the spread between trainings with other seeds nor the published number’s own error: "
    "where nothing differs, one comparison in twenty would come out as different by chance if the "
    "published value were exact, and how many do with its error nobody can say.",
    "Two numbers that answer different questions get no such verdict: they are not comparable. "
    "That is so for a far smaller problem, stand-in or incomplete images, in training too, other "
    "images, an attack weaker or stronger than the published one or another one, one with other "
    "restarts or steps of another size, another radius, and a number that failed a safety check.",
)


def judge(measured: Mapping | None, entry: Entry, reasons: Iterable[str]) -> dict:
    """Compare a measured proportion with a published percentage.

    Args:
        measured: {"value","low","high"} as fractions in [0, 1], or None if it was not run.
        entry: the published number.
        reasons: why the two cannot be compared; none if they can.

    Returns:
        {"verdict": one of `VERDICTS`, "reasons": [str], "difference": measured less published in
        percentage points or None}. There is no difference where the published number belongs to
        a far smaller problem or has another unit.
    """
    if measured is None:
        return {"verdict": NOT_RUN, "reasons": [], "difference": None}
    reasons = list(dict.fromkeys(reasons))
    if entry.unit != "percent":
        reasons.append(f"the published number is in {entry.unit}")
    apart = SMALLER in reasons or entry.unit != "percent"
    difference = None if apart else round(100 * measured["value"] - entry.value, 4)
    verdict = AGREES if is_inside(measured, entry) else DIFFERS
    if reasons:
        verdict = NOT_COMPARABLE
    return {"verdict": verdict, "reasons": reasons, "difference": difference}


def is_inside(measured: Mapping, entry: Entry) -> bool:
    """Whether the published value lies inside the measured interval, as far as it was printed."""
    slack = half_unit(entry.text) + 1e-9
    return 100 * measured["low"] - slack <= entry.value <= 100 * measured["high"] + slack


def half_unit(text: str) -> float:
    """Half a unit of the last digit of a printed number: 0.005 of "41.78", 0.5 of "44"."""
    digits = len(text.partition(".")[2])
    return 0.5 * 10.0**-digits


def why_not_comparable(
    entry: Entry | None,
    record: Mapping,
    *,
    comparison: str,
    failed: Iterable = (),
    complete: bool | None = None,
    trained: Iterable[str] = (),
) -> Iterator[str]:
    """Reasons for which an evaluation answers another question than the published number.

    Args:
        entry: the published number; None gives no reason of its own.
        record: a gathered evaluation, or what perturbations were made with that were classified:
            {"stand_in", "attack", "threat", "dataset": name, "sign", "chance"}.
        comparison: the table's "direct" or "direction".
        failed: safety checks that the evaluation did not pass.
        complete: whether the data set is the complete official one; None if nobody knows.
        trained: what is wrong with the images of the training (`training_data.training_flaws`).
    """
    if comparison == "direction":
        yield SMALLER
    if record.get("stand_in"):
        yield "stand-in images"
    if complete is False:
        yield "an incomplete data set"
    yield from trained
    attack = record.get("attack") or {}
    classes = round(1 / record["chance"]) if record.get("chance") else 10
    if weaker := weaknesses(attack.get("name"), attack.get("options"), classes):
        yield f"an attack weakened to {sentence_list(weaker)}"
    yield from other_attack(entry, attack)
    radius = (record.get("threat") or {}).get("epsilon_255")
    yield from other_effort(entry, attack, radius, classes)
    if comparison == "direct":  # a far smaller problem has other images
        yield from other_images(entry, record.get("dataset"))
    yield from other_sign(entry, record.get("sign"))
    yield from _other_radius(entry, record)
    if list(failed):
        yield "a failed safety check"


def _other_radius(entry: Entry | None, record: Mapping) -> Iterator[str]:
    threat = record.get("threat") or {}
    own, norm = threat.get("epsilon_255"), threat.get("norm", "linf")
    attacked = bool(record.get("attack"))
    published = entry.epsilon_255 if entry is not None else None
    if attacked and own is not None and published is not None and own != published:
        yield f"ε = {own:g}/255 here, {published:g}/255 there"
    if attacked and published is not None and norm != "linf":  # every published radius is of L∞
        yield f"a radius in {norm.upper()} here, in L∞ there"


def count_verdicts(tables: Iterable[Mapping]) -> dict[str, int]:
    """Count the comparisons of all tables by verdict, each result and published number once."""
    seen: dict[tuple, str] = {}
    for table in tables:
        for row in table["rows"]:
            for cell in row["cells"]:
                if cell["verdict"] and cell["published"]:
                    seen.setdefault((cell["file"], cell["published"]["key"]), cell["verdict"])
    return {verdict: list(seen.values()).count(verdict) for verdict in VERDICTS}
