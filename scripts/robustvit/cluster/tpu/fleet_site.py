"""The fleet file: which TPU VMs a controller drives, and through which bucket."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import jsonschema
import yaml

from robustvit.config.merge import deep_merge
from robustvit.config.schema import describe
from robustvit.core.errors import UserError

ROOT = Path(__file__).resolve().parents[4]
SCHEMA = ROOT / "schemas" / "fleet.schema.yaml"
SHIPPED = ROOT / "profiles" / "tpu-fleet" / "site.yaml"
VARIABLE = "ROBUSTVIT_FLEET_SITE"  # a user's
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
    return Path(os.environ.get(VARIABLE) or SHIPPED).expanduser()


@cache
def load_fleet(path: Path) -> dict:
    """Read and validate a fleet file; keys that it leaves out get their default.

    Raises:
        UserError: naming the file, the key, what was expected and an example.
    """
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise UserError(
            f"{path}: the fleet file cannot be read ({error.strerror}). {VARIABLE} names it; "
            "without that variable it is profiles/tpu-fleet/site.yaml."
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text (byte {error.start}). Example of a line: zone: us-central2-b"
        ) from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}. Example: zone: us-central2-b") from error
    if not isinstance(given, dict):
        raise UserError(f"{path}: expected keys and values. Example: zone: us-central2-b")
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(given))
    if errors:
        lines = [line for error in errors[:5] for line in describe(error)]
        raise UserError(f"{path} is not valid:\n  " + "\n  ".join(lines))
    site = deep_merge(DEFAULTS, given)
    _check_bucket(site["bucket"], path)
    return site


def _check_bucket(bucket: str | None, path: Path) -> None:
    if not bucket or not ADDRESS.fullmatch(bucket):
        raise UserError(
            f"{path}: bucket: {bucket}: expected the address of a bucket that this machine and the "
            "TPU VMs may write to. Example: bucket: gs://my-bucket/robust-vits"
        )
