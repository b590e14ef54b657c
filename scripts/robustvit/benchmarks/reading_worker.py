"""One reader in a process of its own: for each line with a time, its images per CPU second.

Run as a file, also by interpreters that have little of what this project needs.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[2]


def main() -> None:
    """Answer every number on the standard input: CPU seconds to measure, 0 for one batch."""
    # Beside this file lie modules named like others (`reading`): only packages may be found.
    sys.path[0] = str(SCRIPTS)
    name, folder, transform, batch_size = sys.argv[1:]
    module = importlib.import_module(f"robustvit.benchmarks.readers.{name}")
    batches = module.batches(Path(folder), transform, int(batch_size))
    for line in sys.stdin:
        started, count = time.process_time(), 0
        while not count or time.process_time() - started < float(line):
            count += next(batches)
        print(json.dumps(count / (time.process_time() - started)), flush=True)


if __name__ == "__main__":
    main()
