"""Asking `gcloud` about TPU VMs, and what its errors mean."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

from robustvit.core.errors import UserError

SECONDS = 180
POLL = 0.2
# Kinds after which the same command may succeed later, or on a new VM.
PASSING = frozenset({"capacity", "unreachable", "lost", "absent", "unknown"})

# The first pattern that fits decides: what it is, the key of the site file, what to do.
MEANINGS: tuple[tuple[str, str, str, str], ...] = (
    (
        r"active account selected|gcloud auth login|UNAUTHENTICATED|reauthenticat|invalid_grant",
        "login", "project",
        "gcloud is not logged in on this machine: `gcloud auth login` and, for the bucket, "
        "`gcloud auth application-default login`",
    ),
    (
        r"SERVICE_DISABLED|has not been used in project|API .{0,60}not enabled",
        "api", "project",
        "the TPU API is off in this project: `gcloud services enable tpu.googleapis.com`",
    ),
    (
        r"no (more )?capacity|insufficient capacity|STOCKOUT|RESOURCE_POOL_EXHAUSTED",
        "capacity", "accelerator_type",
        "the zone has no such TPU free now; create.how: queued waits for one",
    ),
    (
        r"quota",
        "quota", "accelerator_type",
        "this project's quota for such TPUs is used up or zero; ask for more (console: IAM & "
        "Admin, Quotas, TPU) or take another zone or type. Spot TPUs have a quota of their own",
    ),
    (
        r"attribute \[project\]|project .{0,80}(not found|does not exist|deleted)",
        "project", "project", "name the cloud project. Example: project: my-project",
    ),
    (
        r"locations/\S+ (\(or it may not exist\)|is not found)|unknown zone|invalid zone"
        r"|attribute \[zone\]",
        "zone", "zone",
        "no such zone, or no TPUs in it: `gcloud compute tpus locations list`. "
        "Example: zone: us-central2-b",
    ),
    (
        r"accelerator.?type",
        "type", "accelerator_type",
        "the zone knows no such TPU: `gcloud compute tpus accelerator-types list --zone=ZONE`. "
        "Example: accelerator_type: v4-8",
    ),
    (
        r"(runtime|software).?version",
        "version", "runtime_version",
        "no such image: `gcloud compute tpus tpu-vm versions list --zone=ZONE`. "
        "Example: runtime_version: tpu-ubuntu2204-base",
    ),
    (
        r"PERMISSION_DENIED|permission .{0,80}denied|does not have .{0,40}permission",
        "rights", "project",
        "this account may not do that in the project; it needs the role TPU Admin "
        "(roles/tpu.admin) and, for ssh, Service Account User",
    ),
    (r"ssh-add", "agent", "ssh_options",
     "several workers need the key in an agent: eval \"$(ssh-agent)\" && ssh-add "
     "~/.ssh/google_compute_engine"),
    (r"terminal state", "lost", "create.spot", "the TPU VM was preempted or has ended"),
    (r"NOT_FOUND|was not found|could not be found", "absent", "vms", "it does not exist"),
    (
        r"cannot be currently connected to|return code \[255\]|status 255|connection (refused|timed"
        r" out|closed|reset)|ssh command error",
        "unreachable", "ssh_options", "it does not answer by ssh",
    ),
)  # fmt: skip


class CloudError(UserError):
    """A gcloud command failed; `kind` is one of the words of MEANINGS, or "unknown"."""

    def __init__(self, message: str, kind: str = "unknown") -> None:
        super().__init__(message)
        self.kind = kind

    @property
    def passing(self) -> bool:
        """Whether trying again later may help."""
        return self.kind in PASSING


class Stopped(Exception):
    """The run was cancelled while a command was under way."""


class Gcloud:
    """Runs `gcloud compute tpus …` in a site's project and zone.

    Args:
        site: a loaded fleet file.
        stop: once it is set, commands are ended and raise `Stopped`.
    """

    def __init__(self, site: Mapping, stop: threading.Event | None = None) -> None:
        self.site, self.stop = site, stop or threading.Event()

    def tpus(self, *words: str, seconds: float = SECONDS, options: Sequence[str] = ()) -> str:
        """What `gcloud compute tpus WORDS` prints; zone and project are added.

        Raises:
            CloudError: if it fails; the message names the key of the fleet file.
        """
        place = [f"--zone={self.site['zone']}"]
        if self.site["project"]:
            place.append(f"--project={self.site['project']}")
        return self.run("compute", "tpus", *words, *place, "--quiet", *options, seconds=seconds)

    def run(self, *words: str, seconds: float = SECONDS) -> str:
        """What `gcloud WORDS` prints.

        Raises:
            CloudError: if it is not installed, fails or takes longer than `seconds`.
            Stopped: if the run was cancelled meanwhile.
        """
        try:
            process = subprocess.Popen(
                ["gcloud", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, text=True, start_new_session=True,
            )  # fmt: skip
        except FileNotFoundError as error:
            raise CloudError(
                "gcloud was not found. Install the Google Cloud CLI on this machine and log in: "
                "gcloud auth login",
                "login",
            ) from error
        out, err = self._wait(process, time.monotonic() + seconds, words)
        if process.returncode:
            raise explain(words, err or out, process.returncode, self.site)
        return out

    def _wait(self, process: subprocess.Popen, end: float, words: Sequence[str]) -> tuple[str, str]:
        while True:
            try:
                return process.communicate(timeout=POLL)
            except subprocess.TimeoutExpired:
                if self.stop.is_set() or time.monotonic() > end:
                    process.kill()
                    process.communicate()
                    if self.stop.is_set():
                        raise Stopped from None
                    said = "it has not answered in time"
                    raise CloudError(f"gcloud {short(words)}: {said}", "unreachable") from None


def short(words: Sequence[str]) -> str:
    """The command without the long text that runs on the workers."""
    return " ".join(word for word in words if not word.startswith(("--command", "--quiet")))


def explain(words: Sequence[str], said: str, code: int, site: Mapping) -> CloudError:
    """The error that a failed command stands for."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("error: ")]  # of our programs on the workers
    if own:
        return CloudError(own[0].removeprefix("error: "), "job")
    errors = [line for line in lines if "ERROR" in line] or lines[-1:]
    quoted = errors[0].strip()[:400] if errors else f"exit code {code}"
    for pattern, kind, key, advice in MEANINGS:
        if re.search(pattern, said, re.IGNORECASE):
            value = _value(site, key)
            return CloudError(f"{key}: {value}: {advice}.\n  gcloud said: {quoted}", kind)
    return CloudError(f"gcloud {short(words)} failed: {quoted}")


def _value(site: Mapping, key: str) -> object:
    for part in key.split("."):
        site = site[part]
    return "null" if site is None else site
