"""Small programs for the launcher to run, and a launcher that runs one."""

import subprocess
import sys
from pathlib import Path

from feedback_push.standalone.processes import Child
from tests.servers import wait_until

# Writes down that it runs, and which signal ended it.
NOTING = """
import os, pathlib, signal, sys, time
notes = pathlib.Path(sys.argv[1])
def leave(number, frame):
    notes.with_suffix(".signal").write_text(signal.Signals(number).name)
    sys.exit()
signal.signal(signal.SIGTERM, leave)
signal.signal(signal.SIGINT, leave)
notes.with_suffix(".new").write_text(str(os.getpid()))
notes.with_suffix(".new").rename(notes)
time.sleep(60)
"""
STUBBORN = NOTING.replace("leave)", "signal.SIG_IGN)")
WITH_A_CHILD = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', *sys.argv[1:]]).wait()"
LEAVES_ONE = """
import pathlib, subprocess, sys
left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
pathlib.Path(sys.argv[1], str(left.pid)).touch()
"""
LAUNCHER = """
import sys
from feedback_push.standalone import processes, terminal
terminal.listen()
with processes.running(processes.Child("A child", [sys.executable, "-c", *sys.argv[1:]])) as children:
    processes.watch(list(children))
terminal.say("stopped")
"""


def python(script: str, *arguments: object) -> Child:
    """Return a child that runs this script."""
    return Child("A child", [sys.executable, "-c", script, *map(str, arguments)], pause=0.02)


def pid_in(notes: Path) -> int:
    """Return the process id that the child has written."""
    wait_until(notes.exists)
    return int(notes.read_text())


def launch(notes: Path, *, nohup: bool = False) -> subprocess.Popen[str]:
    """A launcher in its own terminal, with a child that logs its signals."""
    how = ["nohup"] if nohup else ["env", "--default-signal=HUP"]  # the tests themselves may run under nohup
    return subprocess.Popen(
        [*how, sys.executable, "-c", LAUNCHER, NOTING, str(notes)],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
