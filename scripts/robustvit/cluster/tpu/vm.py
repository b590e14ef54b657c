"""One TPU VM with all its workers: made, set up, used and deleted by `gcloud`."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from robustvit.cluster.tpu.gcloud import EXIT_MARK, CloudError, Gcloud, Stopped
from robustvit.cluster.tpu.task import STAMP
from robustvit.cluster.tpu.worker import read_told

ABSENT, READY = "ABSENT", "READY"
ENDED = ("PREEMPTED", "TERMINATED")  # never comes back: it has to be deleted and made anew
QUEUE_ENDED = ("FAILED", "SUSPENDED", "SUSPENDING")
OWNER = ".fleet-run"  # and the run that the VM works for
LOOK = "ROBUSTVIT-VM"
# Removes what an earlier archive brought and this one does not, before this one is unpacked.
# {0}: the checkout's folder, {1}: STAMP; the archive is in the home folder.
UNPACK = """set -e
mkdir -p {0} && rm -f {0}/{1}
export LC_ALL=C
tar -tzf robust-vits.tar.gz --quoting-style=literal | grep -v '/$' | sort >robust-vits.files
cat robust-vits.files >>{0}/.fleet-files
sort -u {0}/.fleet-files | comm -23 - robust-vits.files |
  (cd {0} && tr '\\n' '\\0' | xargs -0 -r rm -f)
unset LC_ALL
tar -xzf robust-vits.tar.gz -C {0}
mv robust-vits.files {0}/.fleet-files
cd {0}"""
SETUP_SECONDS = 3600
EMPTY_LOOKS = (
    3  # in a row at a request that was granted, though its VM is not there: it was deleted
)


class TpuVm:
    """A TPU VM by its name.

    Args:
        name: of the TPU VM.
        gcloud: asks the cloud; its `site` says how the VM is made.
        tell: takes lines for the user.
        run: which run it works for; a word.

    Attributes:
        made: whether this run asked for it.
        taken: whether this run has used it.
    """

    def __init__(
        self, name: str, gcloud: Gcloud, tell: Callable[[str], None] = print, run: str = "?"
    ) -> None:
        self.name, self.gcloud, self.tell, self.run = name, gcloud, tell, run
        self.site: Mapping = gcloud.site
        self.made = self.taken = False
        self._asking = False  # still true after a request that was cut off: it may have arrived
        self._prepared: str | None = None
        self._empty, self._since = 0, None

    def state(self) -> str:
        """READY, CREATING, PREEMPTED, … as the cloud says, or ABSENT."""
        try:
            described = ("tpu-vm", "describe", self.name, "--format=value(state)")
            return self.gcloud.tpus(*described).strip() or "UNKNOWN"
        except CloudError as error:
            if error.kind == "absent":
                return ABSENT
            raise

    def make_ready(self, archive: Path, digest: str) -> None:
        """Wait until the VM can take a job: make it if need be, and set it up.

        Args:
            archive: the checkout as a tar file.
            digest: of its content; a VM that has the same is not set up again.

        Raises:
            CloudError: if that is refused, takes longer than create.wait_hours, or the VM works
                for another run by now.
        """
        told, hours = None, self.site["create"]["wait_hours"]
        # An error on the way starts no new wait.
        self._since = self._since or time.monotonic()
        while (state := self.state()) != READY:
            said = self._bring_nearer(state)
            if said != told:
                self.tell(f"{self.name}: {said}")
                told = said
            if time.monotonic() - self._since > hours * 3600:
                raise CloudError(
                    f"create.wait_hours: TPU VM {self.name} was not ready after {hours} h ({said})",
                    "waited",
                )
            self.sleep()
        self._since = None
        if self._prepared != digest:
            self._prepare(archive, digest)

    def _bring_nearer(self, state: str) -> str:
        """Do the next step towards a VM that is ready, and say what is waited for."""
        self.look_again()
        if state in ENDED:
            self.delete()
            return f"{state.lower()}; it is deleted and made anew"
        if state == "STOPPED":
            self.gcloud.tpus("tpu-vm", "start", self.name, "--async")
            return "stopped; it is started"
        if state != ABSENT:
            return f"waits, it is {state}"
        self.taken = False
        how = self.site["create"]["how"]
        if how == "never":
            raise CloudError(
                f"vms: TPU VM {self.name} does not exist in {self.site['zone']}, and create.how "
                "is never. Example: create: {how: queued}",
                "missing",
            )
        return self._queue() if how == "queued" else self._create()

    def look_again(self) -> None:
        """Before the next job, see whether the VM is set up, and whose it is."""
        self._prepared = None

    def _create(self) -> str:
        try:
            self._ask_for(
                *("tpu-vm", "create", self.name, "--async"),
                f"--version={self.site['runtime_version']}",
            )
        except CloudError as error:
            if error.kind != "capacity":
                raise
            return f"no {self.site['accelerator_type']} is free now; it is tried again"
        return "is made"

    def _queue(self) -> str:
        state = self._request_state()
        if state == ABSENT:
            self._ask_for(
                *("queued-resources", "create", self._request, f"--node-id={self.name}", "--async"),
                f"--runtime-version={self.site['runtime_version']}",
            )
            return "asked for; the request is queued"
        self._empty = self._empty + 1 if state == "ACTIVE" else 0
        if state in QUEUE_ENDED or self._empty == EMPTY_LOOKS:
            self._empty = 0
            self._delete_request()
            return f"its request is {state}; it is queued again"
        return f"its request is {state}"

    def _ask_for(self, *words: str) -> None:
        self.made = self._asking = True
        try:
            self.gcloud.tpus(*words, options=self._create_options())
        except CloudError as error:
            self._asking = error.kind == "offline"
            raise
        self._asking = False

    @property
    def _request(self) -> str:
        return f"{self.name}-request"

    def _request_state(self) -> str:
        try:
            described = ("describe", self._request, "--format=value(state.state)")
            return self.gcloud.tpus("queued-resources", *described).strip()
        except CloudError as error:
            if error.kind == "absent":
                return ABSENT
            raise

    def _create_options(self) -> list[str]:
        found = [f"--accelerator-type={self.site['accelerator_type']}"]
        if self.site["create"]["spot"]:
            found.append("--spot")
        return [*found, *self.site["create"]["options"]]

    def delete(self) -> None:
        """Delete the VM and its request; nothing if there is none."""
        self.look_again()
        if self.site["create"]["how"] != "queued" or not self._delete_request():
            self._unless_absent("tpu-vm", "delete", self.name)
        self.made = self.taken = False

    def _delete_request(self) -> bool:
        return self._unless_absent("queued-resources", "delete", self._request, "--force")

    def withdraw(self) -> str:
        """Take a request back that is not granted yet.

        Returns:
            The command that deletes what stays and costs money; empty if nothing does.
        """
        if self.site["create"]["how"] == "queued":
            state = self._request_state()
            if state == "ACTIVE" or (state == ABSENT and self._asking):
                return self._in_words("queued-resources", "delete", self._request, "--force")
            if state != ABSENT:
                self._delete_request()
                return ""
        gone = self.state() == ABSENT and not self._asking
        return "" if gone else self._in_words("tpu-vm", "delete", self.name)

    def _in_words(self, *words: str) -> str:
        project = [f"--project={self.site['project']}"] if self.site["project"] else []
        found = ["gcloud", "compute", "tpus", *words, f"--zone={self.site['zone']}", *project]
        return " ".join(found)

    def _unless_absent(self, *words: str) -> bool:
        try:
            self.gcloud.tpus(*words, seconds=1200)
        except CloudError as error:
            if error.kind == "absent":
                return False
            raise
        return True

    def _prepare(self, archive: Path, digest: str) -> None:
        """Bring the checkout to all workers and run the set-up there."""
        folder = shlex.quote(self.site["folder"])
        if self._take(folder) != {digest}:
            self.tell(f"{self.name}: is set up (minutes)")
            self.gcloud.tpus(
                *("tpu-vm", "scp", str(archive), f"{self.name}:robust-vits.tar.gz"),
                *("--worker=all", *self.site["ssh_options"]),
                seconds=SETUP_SECONDS,
            )
            # Its log's lines are marked as such: none may be taken for another program's error.
            self._set_up(
                f"{UNPACK.format(folder, STAMP)}\n"
                f"({self.site['setup']}) >setup.log 2>&1 || "
                "{ tail -n 20 setup.log | sed 's/^/| /' >&2; exit 70; }\n"
                f"echo {digest} >{STAMP}"
            )
        self._prepared = digest

    def _set_up(self, command: str) -> None:
        try:
            self.ssh(command, seconds=SETUP_SECONDS)
        except CloudError as error:
            if error.kind != "remote":
                raise
            raise CloudError(
                f"setup: {self.site['setup']} failed on {self.name}: {error}", "setup"
            ) from error

    def owners(self) -> set[str]:
        """The runs that the VM works for: one, or none yet."""
        return self._look(shlex.quote(self.site["folder"]), "true")[1]

    def _take(self, folder: str) -> set[str]:
        """Mark the VM as this run's; the digests of what is set up on its workers.

        Raises:
            CloudError: if it was this run's, and another one has taken it over since.
        """
        mark = f"echo {shlex.quote(self.run)} >{OWNER}"
        sources, owners = self._look(folder, f"[ -s {OWNER} ] || {mark}" if self.taken else mark)
        others = " and ".join(sorted(owners - {self.run}))
        if self.taken and others:
            raise CloudError(f"vms: {self.name} works for another run now: {others}", "taken")
        if not self.taken and (others or not self.made):
            by = f" and worked for the run {others}" if others else ""
            end = "; it is deleted at the end" if self.site["delete"] else ""
            self.tell(f"{self.name}: was there already{by}; it is taken for this run{end}")
        self.taken = True
        return sources

    def _look(self, folder: str, then: str) -> tuple[set[str], set[str]]:
        """Digests and runs that are noted on the workers."""
        noted = f'"$(cat {STAMP} 2>/dev/null)" "$(cat {OWNER} 2>/dev/null)"'
        said = self.ssh(
            f"mkdir -p {folder} && cd {folder} && "
            f"printf '{LOOK} source=%s run=%s;\\n' {noted} && {{ {then}; }}"
        )
        found = re.findall(rf"{LOOK} source=(\S*) run=([^\s;]*);", said)
        return {source for source, _ in found}, {run for _, run in found if run}

    def ssh(self, command: str, seconds: float = 300) -> str:
        """What a command prints on the workers.

        Raises:
            CloudError: if it fails on one of them; of kind "remote" if it came to its end there.
        """
        command = f"({command}\n); code=$?; echo {EXIT_MARK}$code >&2; exit $code"
        words = ("tpu-vm", "ssh", self.name, "--worker=all", f"--command={command}")
        return self.gcloud.tpus(*words, *self.site["ssh_options"], seconds=seconds)

    def ask(self, action: str, identifier: str, bucket: str | None = None) -> list[dict]:
        """Start, look at or stop a job on all workers; what each of them says."""
        command = (
            f"cd {shlex.quote(self.site['folder'])} && "
            f".venv/bin/python scripts/tpu_worker.py {action} --id {shlex.quote(identifier)}"
        )
        if bucket:
            command += f" --bucket {shlex.quote(bucket)}"
        said = self.ssh(command)
        try:
            told = read_told(said)
        except ValueError as error:
            raise CloudError(f"{self.name}: what a worker says cannot be read: {error}") from error
        if not told:
            raise CloudError(f"{self.name}: no worker has answered to {action} of {identifier}")
        return told

    def sleep(self, seconds: float | None = None) -> None:
        """Wait for the next look, or so long.

        Raises:
            Stopped: if the run was cancelled meanwhile.
        """
        if self.gcloud.stop.wait(self.site["poll_seconds"] if seconds is None else seconds):
            raise Stopped
