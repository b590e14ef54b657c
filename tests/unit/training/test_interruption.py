"""Signals at every moment of a program around its training."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys, time
sys.path.insert(0, sys.argv[1])
from robustvit.training.interruption import Interrupted, interruptions, stop_at_once

def send():
    os.kill(os.getpid(), int(sys.argv[3]))

try:
    with stop_at_once():
        if sys.argv[2] == "start":
            send()
        try:
            with interruptions() as flag:
                if sys.argv[2] == "step":
                    send()
                print("step done", flush=True)
                flag.check()
        finally:
            if sys.argv[2] == "results":
                send()
        print("results written", flush=True)
except Interrupted as stop:
    print(stop)
    sys.exit(75)
if sys.argv[2] == "end":
    send()
print("end")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
@pytest.mark.parametrize(
    ("moment", "code", "said"),
    [
        ("start", 75, ["stopped by {}"]),
        ("step", 75, ["step done", "stopped by {}"]),
        ("results", 75, ["step done", "stopped by {}"]),
        ("end", 0, ["step done", "results written", "end"]),
    ],
)
def test_a_signal_stops_in_order_until_the_results_are_there(moment, code, said, number):
    scripts = next(path for path in sys.path if path.endswith("scripts"))
    command = [sys.executable, "-c", PROGRAM, scripts, moment, str(int(number))]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == [line.format(number.name) for line in said]


PARENT = r"""
import os, subprocess, sys
child = (
    "import sys, time; sys.path.insert(0, sys.argv[1])\n"
    "from robustvit.training.interruption import follow_parent, interruptions\n"
    "follow_parent()\n"
    "with interruptions() as flag:\n"
    "    print('ready', flush=True)\n"
    "    while flag.signal is None: time.sleep(0.01)\n"
    "    print('state saved', flush=True)\n"
)
subprocess.Popen([sys.executable, "-c", child, sys.argv[1]])
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a call of Linux")
def test_a_process_ends_in_order_when_its_killed_starter_cannot_tell():
    scripts = next(path for path in sys.path if path.endswith("scripts"))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, scripts],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    assert parent.communicate(timeout=20)[0] == "state saved\n"
