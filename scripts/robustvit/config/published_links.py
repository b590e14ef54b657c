"""Which published number stands beside which result, and what has no counterpart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from robustvit.config.references import quoted_rows
from robustvit.core.errors import UserError, nearest, unknown_name
from robustvit.reporting.published import Published


@dataclass(frozen=True)
class Link:
    """One published number beside one result.

    Attributes:
        experiment: name; "<generator>/<classifier>" in an analysis; "" for a number that is only
            quoted.
        metric: protocol, or the analysis of which it is a result.
        key: of the published number.
        where: key of the configuration that says so.
    """

    experiment: str
    metric: str
    key: str
    where: str


def published_links(config: Mapping) -> list[Link]:
    """Every published number that a resolved configuration names, in its order."""
    links = [
        Link(name, protocol, key, f"experiments.{name}.published.{protocol}")
        for name, entry in config["experiments"].items()
        for protocol, keys in entry["published"].items()
        for key in keys
    ]
    for table, entry in config["tables"].items():
        links += _table_links(f"tables.{table}", entry)
    return links


def _table_links(where: str, entry: Mapping) -> Iterator[Link]:
    for row in quoted_rows(entry):
        for protocol, key in row["published"].items():
            yield Link("", protocol, key, f'{where}, row "{row["label"]}", {protocol}')
    for pair, key in entry.get("published", {}).items():
        yield Link(pair, entry.get("semantics", ""), key, f"{where}.published.{pair}")


def check_published(config: Mapping, published: Published) -> None:
    """Check that every published number the configuration names exists and is of its metric.

    Raises:
        UserError: with the configuration's key and the nearest published number, or with the
            metric that was expected.
    """
    for link in published_links(config):
        if link.key not in published.entries:
            raise UserError(
                f"{link.where}: {published.path} has no number with the key "
                f'"{link.key}".{nearest(link.key, published.entries)}'
            )
        _check_metric(config, link, published.entry(link.key).metric)


def _check_metric(config: Mapping, link: Link, found: str) -> None:
    if link.metric not in config["protocols"]:
        _check_pair(config, link)
        return
    expected = f"{link.metric.replace('-', '_')}_top1"
    if found != expected:
        # A link whose protocol is not asked for is no mistake: an overlay may evaluate less, and
        # cannot take a key away.
        raise UserError(f'{link.where}: "{link.key}" is {found}, expected {expected}.')


def _check_pair(config: Mapping, link: Link) -> None:
    analysis = config["semantics"][link.metric]
    generator, _, classifier = link.experiment.partition("/")
    for name, group in ((generator, "generators"), (classifier, "classifiers")):
        if name not in analysis[group]:
            raise unknown_name(group.rstrip("s"), name, analysis[group], link.where)


def load_exceptions(path: Path) -> dict[str, dict[str, str]]:
    """Read reports/published_exceptions.yaml.

    Returns:
        {"unproduced": {pattern of keys: reason}, "unpublished": {pattern of
        "<experiment>/<protocol>": reason}}.
    """
    read = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {
        kind: {pattern: entry["reason"] for entry in read[kind] for pattern in entry["match"]}
        for kind in ("unproduced", "unpublished")
    }


def measured(config: Mapping) -> list[str]:
    """Every result that could stand beside a published number: "<experiment>/<protocol>"."""
    names = [f"{n}/{p}" for n, entry in config["experiments"].items() for p in entry["evaluate"]]
    for name, entry in config["semantics"].items():
        for generator in entry["generators"]:
            names += [f"{name}:{generator}/{classifier}" for classifier in entry["classifiers"]]
    return names


def join_problems(
    config: Mapping, published: Published, exceptions: Mapping[str, Mapping[str, str]]
) -> list[str]:
    """What the join of results and published numbers leaves open; empty if it is complete.

    Each published number has to be named by the configuration or be an exception with a reason,
    and never both; the same holds the other way round for every result.
    """
    links = published_links(config)
    keys = {link.key for link in links}
    results = {
        f"{link.experiment}/{link.metric}"
        if link.metric in config["protocols"]
        else f"{link.metric}:{link.experiment}"
        for link in links
    }
    quoted = {f"/{link.metric}" for link in links if not link.experiment}
    return [
        *(f"{name} is linked but not evaluated" for name in results - {*measured(config), *quoted}),
        *_open_ends("published number", list(published.entries), keys, exceptions["unproduced"]),
        *_open_ends("result", measured(config), results, exceptions["unpublished"]),
    ]


def _open_ends(kind: str, names: list[str], linked: set[str], excepted: Mapping) -> Iterator[str]:
    unused = set(excepted)
    for name in names:
        found = [pattern for pattern in excepted if fnmatchcase(name, pattern)]
        unused.difference_update(found)
        if name in linked and found:
            yield f"{kind} {name} is linked, and an exception too ({found[0]})"
        if name not in linked and not found:
            yield f"{kind} {name} has no counterpart and is no exception"
    yield from (f"exception {pattern} matches no {kind}" for pattern in sorted(unused))
