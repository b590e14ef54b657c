"""Asking `gcloud` about TPU VMs, and what its errors mean."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence

from robustvit.core.errors import UserError

SECONDS = 180
POLL = 0.2
SECONDS_TO_DIE = 5
# Kinds after which the same command may succeed later, or on a new VM.
PASSING = frozenset({"capacity", "unreachable", "offline", "lost", "absent", "remote", "unknown"})
EXIT_MARK = "ROBUSTVIT-EXIT "  # before the exit code of what ran on a worker
OWN_ERROR = re.compile(r"ERROR: \(?gcloud")  # all else that is printed may be a worker's

# The first pattern that fits decides: what it is, the key of the site file, what to do.
MEANINGS: tuple[tuple[str, str, str, str], ...] = (
    (  # before `login`: without a network gcloud says that it cannot refresh its tokens
        r"max retries exceeded|name ?resolution|failed to establish a new connection|timed out"
        r"|connection (refused|aborted|reset)|network is unreachable|unable to find the server",
        "offline", "", "this machine does not reach the cloud now",
    ),
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
        r"cannot be currently connected to|return code \[255\]|status 255",
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
        process = _open(words)
        out, err = self._wait(process, time.monotonic() + seconds, words)
        if process.returncode:
            raise explain(words, f"{out}\n{err}", process.returncode, self.site)
        return out

    def _wait(self, process: subprocess.Popen, end: float, words: Sequence[str]) -> tuple[str, str]:
        said = None
        try:
            while said is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    said = process.communicate(timeout=POLL)
                    break
                if self.stop.is_set():
                    raise Stopped
                if time.monotonic() > end:
                    # What only asks the cloud, and gets no answer, tells nothing about a VM.
                    kind = "unreachable" if {"ssh", "scp"} & set(words) else "offline"
                    raise CloudError(f"gcloud {short(words)}: it has not answered in time", kind)
        finally:
            if said is None:
                _end(process)
        return said


def _open(words: Sequence[str]) -> subprocess.Popen:
    try:
        return subprocess.Popen(
            ["gcloud", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", errors="replace", start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError as error:
        raise CloudError(
            "gcloud was not found. Install the Google Cloud CLI on this machine and log in: "
            "gcloud auth login",
            "login",
        ) from error
    except OSError as error:
        raise CloudError(f"gcloud could not be started: {error}") from error


def _end(process: subprocess.Popen) -> None:
    """Kill a command with its children: an ssh that lives on would hold our pipes open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.communicate(timeout=SECONDS_TO_DIE)
    for pipe in (process.stdout, process.stderr):
        pipe.close()


def short(words: Sequence[str]) -> str:
    """The command without the long text that runs on the workers."""
    return " ".join(word for word in words if not word.startswith(("--command", "--quiet")))


def explain(words: Sequence[str], said: str, code: int, site: Mapping) -> CloudError:
    """The error that a failed command stands for."""
    lines = [line for line in said.strip().splitlines() if line.strip()]
    programs = [line for line in lines if line.startswith("error: ")]  # ours, on the workers
    if programs:
        return CloudError(programs[0].removeprefix("error: "), "job")
    if failed := _failed_on_a_worker(said):
        return CloudError(failed, "remote")
    begin = next((n for n, line in enumerate(lines) if OWN_ERROR.match(line)), None)
    if begin is not None:
        lines = lines[begin:]
    elif {"ssh", "scp"} & set(words):
        # On several workers gcloud ends with ssh's code, without an error of its own.
        lines = [f"ssh ended with status {code}" if code == 255 else f"exit code {code}"]
    quoted = lines[0].strip()[:400] if lines else f"exit code {code}"
    for pattern, kind, key, advice in MEANINGS:
        if re.search(pattern, "\n".join(lines), re.IGNORECASE):
            named = f"{key}: {_value(site, key)}: " if key else ""
            return CloudError(f"{named}{advice}.\n  gcloud said: {quoted}", kind)
    return CloudError(f"gcloud {short(words)} failed: {quoted}")


def _failed_on_a_worker(said: str) -> str | None:
    """The last words of a command that came to its end on a worker, and failed."""
    codes = sorted(set(re.findall(rf"{EXIT_MARK}(\d+)", said)) - {"0"})
    if not codes:
        return None
    lines = [line for line in said.splitlines() if line.strip()]
    words = [line for line in lines if not re.match(rf"{EXIT_MARK}|#####|SSH: ", line)]
    return "\n".join([f"exit code {codes[0]} on a worker", *words[-25:]])


def _value(site: Mapping, key: str) -> object:
    for part in key.split("."):
        site = site[part]
    return "null" if site is None else site
