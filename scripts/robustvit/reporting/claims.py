"""Claims judged by runs of several seeds: supported, contradicted or undecided.

A claim says that one group's mean exceeds (or falls below) another's by more than a margin. The
interval of the difference of the means decides, at the claim's own confidence 1 − alpha:

- supported: the whole interval lies beyond the margin, on the claimed side;
- contradicted: none of it does;
- undecided: it holds the margin, or the numbers cannot carry a verdict: one of them failed a safety
  check, is of stand-in images or of a model that was trained on such;
- not run: a result is missing. Nothing is judged by a part of the runs, since whoever looks before
  all are there, and may stop, finds effects that do not exist.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from statistics import fmean, stdev

from robustvit.analysis.significance import holm
from robustvit.core.errors import UserError
from robustvit.reporting import seed_tests
from robustvit.reporting.formatting import percent_number
from robustvit.reporting.results import Results, failed_checks, proportion
from robustvit.reporting.training_data import STAND_IN, training_files, training_flaws
from robustvit.reporting.verdicts import OTHER_SETTINGS

TESTS = {"welch": seed_tests.welch, "paired": seed_tests.paired}
CSV_COLUMNS = (
    *("claim", "sentence", "verdict", "metric", "test", "direction", "margin_points", "alpha"),
    *("first", "first_mean_percent", "first_sd_points", "first_runs"),
    *("second", "second_mean_percent", "second_sd_points", "second_runs"),
    *("difference_points", "low_points", "high_points", "degrees", "p_value", "p_value_holm"),
    *("detectable_points", "missing", "failed_checks", "reason"),
)


def claims_files(spec: dict) -> list[str]:
    """Files that the claims rest on, relative to the results root."""
    measured = {file for claim in spec["claims"] for file in _files(claim)}
    return sorted(measured.union(*(training_files(_trained(claim)) for claim in spec["claims"])))


def _trained(claim: dict) -> list[dict]:
    """Everything of a claim that was trained on data sets: its runs, and classifiers if any."""
    return [m for group in claim["groups"] for m in group["members"]] + [claim["metric"]]


def _files(claim: dict) -> Iterable[str]:
    for group in claim["groups"]:
        for member in group["members"]:
            yield from _member_files(claim["metric"], member["experiment"])


def _member_files(metric: dict, experiment: str) -> list[str]:
    if "semantics" in metric:
        analysis, classifiers = metric["semantics"], metric["classifiers"]
        return [Results.semantics_file(analysis, experiment, c) for c in classifiers]
    return [Results.evaluation_file(experiment, metric["protocol"])]


def judge_claims(spec: dict, results: Results) -> dict:
    """Judge all claims of a report.

    Args:
        spec: {"claims": [{"name", "sentence", "source", "metric": {"protocol", "metric",
            "label"} or {"semantics", "classifiers", "trained_on", "metric", "label"}, "groups":
            [{"label", "members": [{"experiment", "seed", "trained_on": [data sets]}]}, …],
            "direction", "margin_points", "test", "alpha"}]}.
        results: of the run.

    Returns:
        {"claims": [{…, "verdict", "reason", "doubts": why the numbers can carry no verdict,
        "groups": with "mean", "sd" and the "value" of every member, "difference", "low", "high",
        "p_value", "p_value_holm", "detectable"}]}: shares and their differences as fractions.

    Raises:
        UserError: if a result's file has no such metric.
    """
    claims = [_judge(claim, results) for claim in spec["claims"]]
    corrected = holm([claim["p_value"] for claim in claims])
    for claim, p_value in zip(claims, corrected, strict=True):
        claim["p_value_holm"] = p_value
    return {"claims": claims}


def _judge(claim: dict, results: Results) -> dict:
    missing = [file for file in _files(claim) if not (results.root / file).exists()]
    groups = [_group(group, claim["metric"], results) for group in claim["groups"]]
    records = [_record(results, file) for file in _files(claim)]
    found = {
        **{key: value for key, value in claim.items() if key != "groups"},
        "groups": groups,
        "missing": missing,
        "failed_checks": [check for record in records for check in _failed(record)],
        "stand_in": any(record.get("stand_in") for record in records),
        "trained_on_stand_in": STAND_IN in training_flaws(_trained(claim), results),
        "other_settings": results.changes_of(*_files(claim)),
    }
    empty = dict.fromkeys(("difference", "low", "high", "degrees", "p_value", "detectable"))
    if missing:
        reason = f"{len(missing)} of {len(records)} results are missing"
        return found | empty | {"verdict": "not run", "reason": reason}
    return found | empty | _doubted(_compare(claim, groups), _doubts(found))


def _doubts(found: dict) -> list[str]:
    """Why the numbers of a claim cannot carry a verdict."""
    failed = {check["experiment"] for check in found["failed_checks"]}
    runs = f"{len(failed)} run{'s' * (len(failed) != 1)}"
    checks = [f"the numbers of {runs} failed a safety check"] if failed else []
    return [
        *checks,
        *["stand-in images took the place of the real ones"] * found["stand_in"],
        *[f"models were {STAND_IN}"] * found["trained_on_stand_in"],
        *[f"results are of {OTHER_SETTINGS}"] * bool(found["other_settings"]),
    ]


def _doubted(compared: dict, doubts: list[str]) -> dict:
    """A comparison with the verdict "undecided" if there are reasons against any other."""
    reason = {"verdict": "undecided", "reason": "; ".join(doubts)} if doubts else {}
    return compared | {"doubts": doubts} | reason


def _record(results: Results, file: str) -> dict:
    return results.json(file) or {}


def _failed(record: dict) -> list[dict]:
    return [check | {"experiment": record.get("experiment")} for check in failed_checks(record)]


def _group(group: dict, metric: dict, results: Results) -> dict:
    members = [
        member | {"value": _value(metric, member["experiment"], results)}
        for member in group["members"]
    ]
    values = [member["value"] for member in members if member["value"] is not None]
    return {
        "label": group["label"],
        "mean": fmean(values) if values else None,
        "sd": stdev(values) if len(values) > 1 else None,
        "members": members,
    }


def _value(metric: dict, experiment: str, results: Results) -> float | None:
    """The measured share of one run, the mean over classifiers; None if any part is missing."""
    shares = []
    for file in _member_files(metric, experiment):
        record = results.json(file)
        if record is None:
            return None
        found = proportion(record, metric["metric"], file)
        if found is None:
            raise UserError(f"{file}: has no {metric['metric']}, which a claim compares.")
        shares.append(found["value"])
    return fmean(shares)


def _compare(claim: dict, groups: list[dict]) -> dict:
    first, second = (_ordered(group, claim["test"]) for group in groups)
    spread = TESTS[claim["test"]](first, second)
    low, high = seed_tests.interval(spread, claim["alpha"])
    margin, sign = claim["margin_points"] / 100, 1 if claim["direction"] == "greater" else -1
    verdict, reason = _verdict(spread.error, *sorted((sign * low, sign * high)), margin)
    return {
        "verdict": verdict,
        "reason": reason,
        "difference": spread.difference,
        "low": low,
        "high": high,
        "degrees": spread.degrees,
        "p_value": seed_tests.p_value(spread, sign * margin),
        "detectable": seed_tests.detectable(spread.error, spread.degrees, claim["alpha"]),
    }


def _ordered(group: dict, test: str) -> list[float]:
    """The group's values; for pairs in the order of their seeds."""
    members = group["members"]
    if test == "paired":
        members = sorted(members, key=lambda member: member["seed"])
    return [member["value"] for member in members]


def _verdict(error: float, low: float, high: float, margin: float) -> tuple[str, str]:
    """The verdict by the interval of the advantage, which is positive on the claimed side."""
    if not error:
        return "undecided", "all runs of a group gave the same number, so their spread is unknown"
    if low > margin:
        return "supported", "the whole interval is beyond the margin on the claimed side"
    if high < margin:
        return "contradicted", "no part of the interval is beyond the margin on the claimed side"
    return "undecided", "the interval holds the margin"


def claims_csv(judged: dict) -> str:
    """The claims as CSV, a line each; shares in percent, differences in percentage points."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, lineterminator="\n")
    writer.writeheader()
    for claim in judged["claims"]:
        writer.writerow(_csv_line(claim))
    return text.getvalue()


def _csv_line(claim: dict) -> dict:
    kept = ("sentence", "verdict", "test", "direction", "margin_points", "alpha")
    line = {"claim": claim["name"], "metric": claim["metric"]["label"]}
    line |= {key: claim[key] for key in kept}
    for place, group in zip(("first", "second"), claim["groups"], strict=True):
        line |= {
            place: group["label"],
            f"{place}_mean_percent": percent_number(group["mean"]),
            f"{place}_sd_points": percent_number(group["sd"]),
            f"{place}_runs": sum(member["value"] is not None for member in group["members"]),
        }
    for key in ("difference", "low", "high", "detectable"):
        line[f"{key}_points"] = percent_number(claim[key])
    line |= {key: claim[key] for key in ("degrees", "p_value", "p_value_holm")}
    line["missing"] = "; ".join(claim["missing"])
    names = (f"{check['experiment']}: {check['name']}" for check in claim["failed_checks"])
    return line | {"failed_checks": "; ".join(names), "reason": claim["reason"]}
