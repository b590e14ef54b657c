"""Asking Snakemake about the run that is going on, from inside one of its jobs."""

from __future__ import annotations

import os
import subprocess
import sys

from robustvit.core.errors import UserError

CONFIGFILES = "ROBUSTVIT_CONFIGFILES"


def ask_snakemake(*arguments: str) -> str:
    """Run Snakemake on the same configuration files, without taking its lock; return its output.

    The files come from the variable that rules/common.smk sets. Settings given by `--config` on the
    command line do not reach a nested call; write them into an overlay file.

    Raises:
        UserError: if Snakemake fails; the message ends with what it said.
    """
    overlays = [path for path in os.environ.get(CONFIGFILES, "").split(os.pathsep) if path]
    command = [
        *(sys.executable, "-m", "snakemake", "--profile", "none", "--nolock"),
        *("--configfile", "workflow_config.yaml", *overlays),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise UserError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout
