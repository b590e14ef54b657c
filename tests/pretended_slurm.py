"""A pretended SLURM: programs on the PATH that print what a test wants."""

import json
import sys

PROGRAM = """#!{python} -S
import json, os, sys
name = os.path.basename(sys.argv[0])
with open({answers!r}) as handle:
    known = json.load(handle)
with open({calls!r}, "a") as handle:
    handle.write(json.dumps([name, *sys.argv[1:]]) + "\\n")
for pattern, (code, text) in known.get(name, []):
    if pattern in " ".join(sys.argv[1:]):
        print(text, file=sys.stderr if code else sys.stdout)
        sys.exit(code)
sys.exit("no answer prepared for " + " ".join(sys.argv))
"""
NODES = """\
gpu|up|1-00:00:00|n1|idle|gpu:a100:4(S:0-1)|64|256000|a100,nvlink
gpu|up|1-00:00:00|n2|mixed|gpu:a100:4(S:0-1)|64|512000|a100,nvlink
cpu*|up|infinite|c1|idle|(null)|32|128000+|(null)"""
CONFIG = """\
Configuration data as of 2026-11-21T03:00:00
AccountingStorageEnforce = associations,limits
MinJobAge               = 300 sec"""
ANSWERS = {
    "sinfo": [["", [0, NODES]]],
    "scontrol": [
        ["show config", [0, CONFIG]],
        ["requeue", [0, ""]],
        ["show hostnames n[1-2]", [0, "n1\nn2"]],
        ["show node n1", [0, "NodeName=n1 Arch=x86_64\n   NodeAddr=10.0.0.1 NodeHostName=n1"]],
    ],
    "sacctmgr": [["show associations", [0, "lab\nlab2\nlab"]], ["show qos", [0, "normal\nlong"]]],
    "squeue": [["", [0, ""]]],
    "sbatch": [["", [0, ""]]],
}


class PretendedSlurm:
    """Its answers, and what it was asked."""

    def __init__(self, folder):
        self.folder, self.answers = folder, {name: list(rows) for name, rows in ANSWERS.items()}
        for name in ANSWERS:
            program = folder / name
            program.write_text(
                PROGRAM.format(
                    python=sys.executable,
                    answers=str(folder / "answers.json"),
                    calls=str(folder / "calls.jsonl"),
                )
            )
            program.chmod(0o755)
        self.save()

    def save(self):
        (self.folder / "answers.json").write_text(json.dumps(self.answers))

    def answer(self, program, text, pattern="", code=0):
        """Let a program say something else when its arguments contain `pattern`."""
        self.answers[program].insert(0, [pattern, [code, text]])
        self.save()

    def remove(self, program):
        (self.folder / program).unlink()

    @property
    def calls(self):
        path = self.folder / "calls.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
