"""The fleet file: which TPU VMs a controller drives, and through which bucket."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from robustvit.cluster.site_files import SiteFile
from robustvit.config.merge import deep_merge
from robustvit.core.errors import UserError

FILE = SiteFile(
    kind="fleet file",
    shipped="profiles/tpu-fleet/site.yaml",
    schema="schemas/fleet.schema.yaml",
    variable="ROBUSTVIT_FLEET_SITE",
    example="zone: us-central2-b",
)
ACTIVE = "ROBUSTVIT_FLEET"  # set by the profile, for all processes of the run
ADDRESS = re.compile(r"(gs|s3)://[^/\s][^\s]*|file:///[^\s].*")

# Values of keys that a fleet file leaves out; the shipped file says the same to its reader.
DEFAULTS = {
    "project": None,
    "zone": "us-central2-b",
    "vms": ["robustvit-0"],
    "accelerator_type": "v4-8",
    "runtime_version": "tpu-ubuntu2204-base",
    "bucket": None,
    "create": {"how": "queued", "spot": True, "wait_hours": 24, "options": []},
    "delete": True,
    "folder": "robust-vits",
    "setup": "bash scripts/setup_tpu_vm.sh",
    "ssh_options": [],
    "poll_seconds": 30,
    "sync_seconds": 120,
    "preemptions": 50,
    "retries": 2,
    "environment": {},
    "check": True,
}


def site_path() -> Path:
    """The fleet file: what ROBUSTVIT_FLEET_SITE names, else the one in profiles/tpu-fleet."""
    return FILE.path()


@cache
def load_fleet(path: Path) -> dict:
    """Read and validate a fleet file; keys that it leaves out get their default.

    Raises:
        UserError: naming the file, the key, what was expected and an example.
    """
    site = deep_merge(DEFAULTS, FILE.read(path))
    _check_bucket(site["bucket"], path)
    return site


def _check_bucket(bucket: str | None, path: Path) -> None:
    if not bucket or not ADDRESS.fullmatch(bucket):
        raise UserError(
            f"{path}: bucket: {bucket}: expected the address of a bucket that this machine and the "
            "TPU VMs may write to. Example: bucket: gs://my-bucket/robust-vits"
        )
