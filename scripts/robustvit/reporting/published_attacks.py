"""What a published number was measured with, and how a result's own attack and images differ.

The table of published numbers says it in two of its columns: the metric names the attack
("pgd200_top1"), the data set the images ("ImageNet-RB5k PGD-100 perturbations").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from robustvit.reporting.formatting import count
from robustvit.reporting.protocols import COMPARED, NAMES, SIGNS, STANDARD, attack_name, settings
from robustvit.reporting.published import Entry

FAMILIES = ("autoattack", "apgd_ce", "pgd", "fgsm")
STEPS = re.compile(r"pgd-?(\d+)", re.IGNORECASE)
OF_PERTURBATIONS = re.compile(r"\s*PGD-\d+ perturbations$")
PUBLISHED_SIGN = "minus"  # Table 9 is of the released code, which takes x − x′
UNNAMED = ("", "cifar")  # of a published data set that could be several
ALIASES = {"ilsvrc2012": "imagenet"}
# The table names no sizes of steps. PGD and FGSM of the released code, which made these sources'
# numbers of its own models, take one random start and steps of 1.5·ε/steps (1.5·ε the only one).
RELEASED_CODE, FACTOR = ("thesis", "notebook"), 1.5
STEPPED = ("pgd", "fgsm")
CLOSE = 1e-6  # relative difference of two sizes of steps that is rounding


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


def other_effort(
    entry: Entry | None, attack: Mapping, epsilon_255: float | None, num_classes: int
) -> Iterator[str]:
    """How an attack of the published kind differs in its restarts, its step size and the like.

    What is less than standard, `protocols.weaknesses` says. A published number whose line names
    no attack, or whose size of steps nobody knows, gives no reason.

    Args:
        entry: the published number.
        attack: {"name", "options"} of the result.
        epsilon_255: its radius in 1/255.
        num_classes: an attack has one target fewer than there are classes at most.
    """
    published, own = entry and published_attack(entry), attack.get("name")
    if not published or published[0] != own:
        return
    used = settings(own, attack.get("options"))
    if own in STEPPED:
        yield from _other_steps(entry, used, published[1] or 1, epsilon_255)
        return
    limits, both = {"targets": num_classes - 1}, (used, STANDARD[own])
    for key in dict.fromkeys((*COMPARED[own], "restarts")):
        here, there = (min(found[key], limits.get(key, found[key])) for found in both)
        if here > there:
            yield f"{count(here)} {key} of the attack here, {count(there)} there"


def _other_steps(
    entry: Entry, used: Mapping, steps: int, epsilon_255: float | None
) -> Iterator[str]:
    """How a PGD attack of as many steps differs from that of the released code."""
    if entry.source not in RELEASED_CODE or "et al." in entry.model:
        return
    if used.get("restarts", 1) > 1:
        yield f"{count(used['restarts'])} restarts of the attack here, 1 there"
    if used.get("steps", 1) != steps:  # another reason, and the size follows from it
        return
    part, size = f"·ε/{steps}" if steps > 1 else "·ε", used.get("step_size_255")
    if size is None:
        factor, here = used["step_factor"], f"{used['step_factor']:g}{part}"
    elif epsilon_255:
        factor, here = size * steps / epsilon_255, f"{size:g}/255"
    else:
        return
    if abs(factor - FACTOR) > CLOSE * FACTOR:
        yield f"steps of size {here} here, {FACTOR:g}{part} there"


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
