"""Does a fleet file fit the cloud project and the bucket? Asked before the first job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from robustvit.cluster.tpu.bucket import check_bucket
from robustvit.cluster.tpu.gcloud import CloudError, Gcloud
from robustvit.cluster.tpu.vm import ABSENT, TpuVm
from robustvit.core.errors import UserError, nearest


def check_fleet(
    site: Mapping, tell: Callable[[str], None], results: str | Path = "results"
) -> None:
    """Look for everything that would keep trainings from running; nothing is made.

    Quota and free capacity cannot be asked for: a new TPU VM is refused with the reason.

    Args:
        site: a loaded fleet file.
        tell: takes lines on what is there.
        results: the configuration's `paths.results`.

    Raises:
        UserError: with one line for each problem, naming the key.
    """
    problems = [*_problems_of_results(Path(results))]
    problems += [*_problems_of_cloud(site, tell), *_problems_of_bucket(site)]
    if problems:
        listed = "\n  ".join(problems)
        raise UserError(f"the fleet file does not fit; nothing was started:\n  {listed}")


def _problems_of_results(path: Path) -> Iterable[str]:
    """The same path has to be a folder of the checkout here and on the TPU VMs."""
    if path.is_absolute() or ".." in path.parts:
        yield (
            f"paths.results: {path}: with a fleet it has to be a folder of the checkout, at the "
            "same place on every machine. Example: paths: {results: results}. For another disk "
            "make results a symbolic link to it"
        )


def _problems_of_bucket(site: Mapping) -> Iterable[str]:
    try:
        check_bucket(site["bucket"])
    except UserError as error:
        yield str(error)


def _problems_of_cloud(site: Mapping, tell: Callable[[str], None]) -> Iterable[str]:
    gcloud = Gcloud(site)
    try:
        active = gcloud.run("auth", "list", "--filter=status:ACTIVE", "--format=value(account)")
        if not active.strip():
            yield "project: gcloud is not logged in on this machine: gcloud auth login"
            return
        if not site["project"] and not gcloud.run("config", "get-value", "project").strip():
            yield "project: null, and gcloud has none set. Example: project: my-project"
            return
        yield from _unknown_names(site, gcloud)
        for name in site["vms"]:
            state = TpuVm(name, gcloud).state()
            tell(f"TPU VM {name}: {'does not exist yet' if state == ABSENT else state}")
            if state == ABSENT and site["create"]["how"] == "never":
                yield f"vms: {name} does not exist in {site['zone']}, and create.how is never"
    except CloudError as error:
        yield str(error)


def _unknown_names(site: Mapping, gcloud: Gcloud) -> Iterable[str]:
    """Types and images that the zone does not have."""
    lists = {
        "accelerator_type": ("accelerator-types", "list", "--format=value(type)"),
        "runtime_version": ("tpu-vm", "versions", "list", "--format=value(version)"),
    }
    for key, words in lists.items():
        known = gcloud.tpus(*words).split()
        if known and site[key] not in known:
            yield f'{key}: {site["zone"]} has no "{site[key]}".{nearest(site[key], known)}'
