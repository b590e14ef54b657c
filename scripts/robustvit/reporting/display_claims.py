"""Verdicts on claims as the report prints them: strings in place."""

from __future__ import annotations

from collections.abc import Iterator

from robustvit.reporting.formatting import p_value, points

TESTS = {"welch": "Welch’s t", "paired": "t paired by seed"}
VERDICTS = ("supported", "contradicted", "undecided", "not run")
FAILED = "†"  # beside a metric of which an evaluation failed a safety check


def display_claims(claims: list[dict]) -> dict:
    """Turn judged claims into strings.

    Args:
        claims: "claims" of the run's summary.

    Returns:
        {"sentences": how to read it, "rows": [{"sentence", "source", "groups", "metric",
        "difference", "notes", "verdict", "stand_in"}], "notes": sentences beneath the table}.
    """
    return {
        "sentences": list(_sentences(claims)),
        "rows": [_row(claim) for claim in claims],
        "notes": list(_check_notes(claims)),
    }


def _sentences(claims: list[dict]) -> Iterator[str]:
    if not claims:
        return
    yield (
        "Each run differs from the others of its group in its seed only, which decides the weights "
        "that are not taken over from elsewhere, the order of the images, their augmentation and "
        "the attacks’ starts, and where each starts from a training of its own, in that one’s seed "
        "too. A claim is "
        "supported if the whole interval of the difference of the group means lies on the claimed "
        "side of 0 (or beyond its margin), contradicted if none of it does, undecided if it holds "
        "the border, if a result failed a safety check or rests on stand-in images, in training "
        "too, and not run while a result is missing."
    )
    yield (
        "All runs are evaluated on the same images, so the intervals hold for these images. "
        "“Detectable” is the difference that runs of the measured spread would find in four of "
        "five repetitions; where it is larger than an effect of interest, undecided says little."
    )
    counts = [(word, sum(claim["verdict"] == word for claim in claims)) for word in VERDICTS]
    yield "Verdicts: " + ", ".join(f"{n} {word}" for word, n in counts if n) + "."
    judged = [claim for claim in claims if claim["p_value"] is not None]
    if len(judged) > 1:
        decided = [c for c in judged if c["verdict"] in ("supported", "contradicted")]
        kept = [c for c in decided if c["p_value_holm"] < c["alpha"]]
        yield (
            f"Each claim is judged by itself; with Holm’s correction for {len(judged)} claims "
            f"{len(kept)} of the {len(decided)} decided verdicts stay."
        )


def _row(claim: dict) -> dict:
    return {
        "sentence": claim["sentence"],
        "source": claim["source"],
        "groups": [_group(group) for group in claim["groups"]],
        "metric": claim["metric"]["label"] + f" {FAILED}" * bool(claim["failed_checks"]),
        "difference": _difference(claim),
        "notes": list(_notes(claim)),
        "verdict": claim["verdict"],
        "stand_in": claim["stand_in"] or bool(claim.get("trained_on_stand_in")),
    }


def _group(group: dict) -> str:
    values = [m["value"] for m in group["members"] if m["value"] is not None]
    if not values:
        return f"{group['label']}: not run"
    spread = "" if group["sd"] is None else f" ± {100 * group['sd']:.2f}"
    of = len(group["members"])
    count = f"{of} seeds" if len(values) == of else f"{len(values)} of {of} seeds"
    return f"{group['label']}: {100 * group['mean']:.2f}{spread} % ({count})"


def _difference(claim: dict) -> str:
    if claim["difference"] is None:
        return "–"
    if claim["p_value"] is None:
        return points(claim["difference"], 2)
    value, low, high = (points(claim[key], 2) for key in ("difference", "low", "high"))
    return f"{value} [{low}, {high}]"


def _notes(claim: dict) -> Iterator[str]:
    margin = claim["margin_points"]
    beyond = f" by more than {margin:g} points" if margin else ""
    yield f"claimed: {claim['direction']}{beyond}"
    if claim["difference"] is None:
        yield claim["reason"]
        return
    if claim.get("doubts"):
        yield f"undecided: {claim['reason']}"
    confidence = f"{100 * (1 - claim['alpha']):g} %"
    yield f"{confidence} interval; {TESTS[claim['test']]}"
    if claim["p_value"] is None:
        yield from () if claim.get("doubts") else (claim["reason"],)
        return
    yield f"{p_value(claim['p_value'])}, Holm {p_value(claim['p_value_holm'])}"
    yield f"detectable: {100 * claim['detectable']:.2f} points"


def _check_notes(claims: list[dict]) -> Iterator[str]:
    """Which evaluations behind the claims failed a check of themselves, each once."""
    seen = {
        (check["experiment"], check["name"]): check["detail"]
        for claim in claims
        for check in claim["failed_checks"]
    }
    for (experiment, name), detail in seen.items():
        because = f" ({detail})" if detail else ""
        yield f"{FAILED} {experiment}: failed the safety check “{name}”{because}."
