"""What the display shares with the programs that it watches, repeated here.

Snakemake imports this package before the Snakefile puts its own `scripts` folder first, so that an
import of `robustvit` would take the package of whatever checkout the environment was made in, for
the configuration too. The tests compare these copies with `robustvit.core.progress`.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

PROGRESS_VARIABLE = "ROBUSTVIT_PROGRESS"
DEFAULT_FOLDER = ".snakemake/robustvit-progress"


def format_seconds(seconds: float) -> str:
    """Write a duration as people say it: `45 s`, `3:05 min`, `2:10 h`."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60}:{seconds % 60:02d} min"
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d} h"


def write_json(path: Path, value: object) -> None:
    """Write `value` as indented JSON so that a reader never sees half of it.

    Raises:
        OSError: if it cannot be written; what was there is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(handle, "w", encoding="utf-8") as stream:
            stream.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
        os.chmod(name, 0o644)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)
