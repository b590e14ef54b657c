"""One TPU VM with all its workers: made, set up, used and deleted by `gcloud`."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from robustvit.cluster.tpu.gcloud import CloudError, Gcloud, Stopped
from robustvit.cluster.tpu.worker import read_told
from robustvit.core.errors import UserError

ABSENT, READY = "ABSENT", "READY"
ENDED = ("PREEMPTED", "TERMINATED")  # never comes back: it has to be deleted and made anew
QUEUE_ENDED = ("FAILED", "SUSPENDED", "SUSPENDING")
STAMP = ".source"
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
    """

    def __init__(self, name: str, gcloud: Gcloud, tell: Callable[[str], None] = print) -> None:
        self.name, self.gcloud, self.tell = name, gcloud, tell
        self.site: Mapping = gcloud.site
        self._prepared: str | None = None
        self._empty = 0

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
            CloudError: if that is refused, or takes longer than create.wait_hours.
        """
        end, told = time.monotonic() + self.site["create"]["wait_hours"] * 3600, None
        while (state := self.state()) != READY:
            said = self._bring_nearer(state)
            if said != told:
                self.tell(f"{self.name}: {said}")
                told = said
            if time.monotonic() > end:
                hours = self.site["create"]["wait_hours"]
                raise CloudError(
                    f"create.wait_hours: TPU VM {self.name} was not ready after {hours} h ({said})",
                    "capacity",
                )
            self.sleep()
        if self._prepared != digest:
            self._prepare(archive, digest)

    def _bring_nearer(self, state: str) -> str:
        """Do the next step towards a VM that is ready, and say what is waited for."""
        self._prepared = None
        if state in ENDED:
            self.delete()
            return f"{state.lower()}; it is deleted and made anew"
        if state == "STOPPED":
            self.gcloud.tpus("tpu-vm", "start", self.name, "--async")
            return "stopped; it is started"
        if state != ABSENT:
            return f"waits, it is {state}"
        how = self.site["create"]["how"]
        if how == "never":
            raise CloudError(
                f"vms: TPU VM {self.name} does not exist in {self.site['zone']}, and create.how "
                "is never. Example: create: {how: queued}"
            )
        return self._queue() if how == "queued" else self._create()

    def _create(self) -> str:
        try:
            self.gcloud.tpus(
                *("tpu-vm", "create", self.name, "--async"),
                f"--version={self.site['runtime_version']}",
                options=self._create_options(),
            )
        except CloudError as error:
            if error.kind != "capacity":
                raise
            return f"no {self.site['accelerator_type']} is free now; it is tried again"
        return "is made"

    def _queue(self) -> str:
        request = f"{self.name}-request"
        try:
            described = ("queued-resources", "describe", request, "--format=value(state.state)")
            state = self.gcloud.tpus(*described).strip()
        except CloudError as error:
            if error.kind != "absent":
                raise
            self.gcloud.tpus(
                *("queued-resources", "create", request, f"--node-id={self.name}", "--async"),
                f"--runtime-version={self.site['runtime_version']}",
                options=self._create_options(),
            )
            return "asked for; the request is queued"
        self._empty = self._empty + 1 if state == "ACTIVE" else 0
        if state in QUEUE_ENDED or self._empty == EMPTY_LOOKS:
            self._empty = 0
            self._delete_request()
            return f"its request is {state}; it is queued again"
        return f"its request is {state}"

    def _create_options(self) -> list[str]:
        found = [f"--accelerator-type={self.site['accelerator_type']}"]
        if self.site["create"]["spot"]:
            found.append("--spot")
        return [*found, *self.site["create"]["options"]]

    def delete(self) -> None:
        """Delete the VM and its request; nothing if there is none."""
        self._prepared = None
        if self.site["create"]["how"] == "queued" and self._delete_request():
            return
        self._unless_absent("tpu-vm", "delete", self.name)

    def _delete_request(self) -> bool:
        return self._unless_absent(
            "queued-resources", "delete", f"{self.name}-request", "--force"
        )  # fmt: skip

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
        if not self._has(folder, digest):
            self.tell(f"{self.name}: is set up (minutes)")
            self.gcloud.tpus(
                *("tpu-vm", "scp", str(archive), f"{self.name}:robust-vits.tar.gz"),
                *("--worker=all", *self.site["ssh_options"]),
                seconds=SETUP_SECONDS,
            )
            steps = [
                f"mkdir -p {folder}",
                f"tar -xzf robust-vits.tar.gz -C {folder}",
                f"cd {folder}",
                f"({self.site['setup']}) >setup.log 2>&1 || "
                "{ tail -n 20 setup.log >&2; exit 70; }",
                f"echo {digest} >{STAMP}",
            ]
            self._set_up(" && ".join(steps))
        self._prepared = digest

    def _set_up(self, command: str) -> None:
        try:
            self.ssh(command, seconds=SETUP_SECONDS)
        except CloudError as error:
            if error.kind in ("unreachable", "lost", "absent"):
                raise
            raise CloudError(
                f"setup: {self.site['setup']} failed on {self.name}: {error}", "setup"
            ) from error

    def _has(self, folder: str, digest: str) -> bool:
        """Whether all workers have this checkout, set up."""
        try:
            self.ssh(f'test "$(cat {folder}/{STAMP} 2>/dev/null)" = {digest}')
        except CloudError as error:
            if error.kind in ("unknown", "unreachable"):  # `test` failed somewhere
                return False
            raise
        return True

    def ssh(self, command: str, seconds: float = 300, worker: str = "all") -> str:
        """What a command prints on the workers.

        Raises:
            CloudError: if it fails on one of them.
        """
        words = ("tpu-vm", "ssh", self.name, f"--worker={worker}", f"--command={command}")
        return self.gcloud.tpus(*words, *self.site["ssh_options"], seconds=seconds)

    def ask(self, action: str, identifier: str, bucket: str | None = None) -> list[dict]:
        """Start, look at or stop a job on all workers; what each of them says."""
        command = (
            f"cd {shlex.quote(self.site['folder'])} && "
            f".venv/bin/python scripts/tpu_worker.py {action} --id {shlex.quote(identifier)}"
        )
        if bucket:
            command += f" --bucket {shlex.quote(bucket)}"
        said = read_told(self.ssh(command))
        if not said:
            raise UserError(f"{self.name}: no worker has answered to {action} of {identifier}")
        return said

    def sleep(self) -> None:
        """Wait for the next look.

        Raises:
            Stopped: if the run was cancelled meanwhile.
        """
        if self.gcloud.stop.wait(self.site["poll_seconds"]):
            raise Stopped
