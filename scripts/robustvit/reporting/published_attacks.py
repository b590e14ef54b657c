"""What a published number was measured with, and how a result's own attack and images differ.

The table of published numbers says it in two of its columns: the metric names the attack
("pgd200_top1"), the data set the images ("ImageNet-RB5k PGD-100 perturbations").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from robustvit.reporting.formatting import count
from robustvit.reporting.protocols import NAMES, SIGNS, attack_name, settings
from robustvit.reporting.published import Entry

FAMILIES = ("autoattack", "apgd_ce", "pgd", "fgsm")
STEPS = re.compile(r"pgd-?(\d+)", re.IGNORECASE)
OF_PERTURBATIONS = re.compile(r"\s*PGD-\d+ perturbations$")
PUBLISHED_SIGN = "minus"  # Table 9 is of the released code, which takes x − x′
UNNAMED = ("", "cifar")  # of a published data set that could be several
ALIASES = {"ilsvrc2012": "imagenet"}


def published_attack(entry: Entry) -> tuple[str, int | None] | None:
    """Attack of a published number and its steps: ("pgd", 200); None if its line names none."""
    metric = entry.metric.removesuffix("_top1")
    if OF_PERTURBATIONS.search(entry.dataset):
        metric = OF_PERTURBATIONS.search(entry.dataset)[0].split()[0].lower()
    elif metric == entry.metric:
        return None
    if found := STEPS.fullmatch(metric):
        return "pgd", int(found[1])
    return next(
        ((name, None) for name in FAMILIES if re.fullmatch(rf"{name}(_\d+)?", metric)), None
    )


def other_attack(entry: Entry | None, attack: Mapping) -> Iterator[str]:
    """How an attack differs in kind or steps: "an attack weakened to 5 of 200 steps"."""
    published, own = entry and published_attack(entry), attack.get("name")
    if not published or not own:
        return
    name, steps = published
    used = settings(own, attack.get("options")).get("steps")
    if own != name:
        there = attack_name(name, {"steps": steps} if steps else {})
        here = attack_name(own, attack.get("options") or {})
        yield f"{here} here, {there if steps else NAMES[name]} there"
    elif steps and used and used < steps:
        yield f"an attack weakened to {count(used)} of {count(steps)} steps"
    elif steps and used and used > steps:
        yield f"{count(used)} steps of the attack here, {count(steps)} there"


def other_images(entry: Entry | None, dataset: str | None) -> Iterator[str]:
    """Say so if a result is of another data set than the published number."""
    if entry is None or not dataset:
        return
    published = published_set(entry.dataset)
    if published is not None and _plain(dataset) != published:
        yield f"images of {dataset} here, of {OF_PERTURBATIONS.sub('', entry.dataset)} there"


def published_set(text: str) -> str | None:
    """A published data set in letters and digits, its validation split left out; None if unclear.

    "ImageNet-val (49364 imgs)" is "imagenet", as the configuration's `imagenet` is.
    """
    name = OF_PERTURBATIONS.sub("", text).partition("(")[0].strip()
    plain = _plain(re.sub(r"[ -]val$", "", name))
    plain = ALIASES.get(plain, plain)
    return None if plain in UNNAMED else plain


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def other_sign(entry: Entry | None, sign: str | None) -> Iterator[str]:
    """Say so if pictures of perturbations have another sign than the published ones."""
    if entry is None or sign in (None, PUBLISHED_SIGN):
        return
    if OF_PERTURBATIONS.search(entry.dataset):
        yield f"perturbations {SIGNS.get(sign, sign)} here, {SIGNS[PUBLISHED_SIGN]} there"
