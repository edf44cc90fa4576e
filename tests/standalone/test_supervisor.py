"""feedback_push/standalone/supervisor.py: a launcher that replaces itself, with a child that logs its signals."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.servers import CHECKOUT, wait_until
from tests.standalone.children import NOTING, pid_in
from tests.standalone.launching import is_gone

LAUNCHER = """
import os, signal, sys
from feedback_push.standalone import processes, supervisor, terminal
terminal.listen()
if os.environ.get("IGNORE_CHILDREN"):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
replace = os.execve
def replace_after_a_signal(*arguments):
    if number := os.environ.get("SEND"):
        signal.raise_signal(int(number))
    replace(*arguments)
os.execve = replace_after_a_signal
with processes.running(processes.Child("A child", [sys.executable, "-c", *sys.argv[1:]])) as children:
    while not os.path.exists(sys.argv[2]):
        pass
    supervisor.take_over([], children)
print("not replaced")
"""


@contextmanager
def replaced(notes: Path, **environment: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", LAUNCHER, NOTING, str(notes)]
    settings = {**os.environ, "PYTHONPATH": str(CHECKOUT), "ADMIN_PASSWORD": "correct horse battery", **environment}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=settings, cwd=CHECKOUT, text=True) as launcher:
        try:
            yield launcher
        finally:
            launcher.kill()


def test_the_children_live_on_are_started_again_and_stop_with_the_supervisor(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with replaced(notes) as launcher:
        first = pid_in(notes)
        wait_until(lambda: "feedback_push.standalone.supervisor" in psutil.Process(launcher.pid).cmdline())
        assert not is_gone(first)
        assert psutil.Process(first).ppid() == launcher.pid
        assert "ADMIN_PASSWORD" not in psutil.Process(launcher.pid).environ()
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: pid_in(notes) != first)
        launcher.terminate()
        printed, _ = launcher.communicate(timeout=60)
    assert printed == "A child stopped unexpectedly; restarting it in 1 s.\nStopped.\n"
    assert launcher.returncode == 0
    assert notes.with_suffix(".signal").read_text() == "SIGTERM"
    assert is_gone(pid_in(notes))


def test_a_child_that_dies_is_noticed_where_the_system_keeps_no_exit_codes(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with replaced(notes, IGNORE_CHILDREN="1") as launcher:
        first = pid_in(notes)
        wait_until(lambda: "feedback_push.standalone.supervisor" in psutil.Process(launcher.pid).cmdline())
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: pid_in(notes) != first)
        launcher.terminate()
        printed, _ = launcher.communicate(timeout=60)
    assert (printed.splitlines()[-1], launcher.returncode) == ("Stopped.", 0)


def test_a_stop_signal_during_the_replacement_is_obeyed(tmp_path: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        notes = tmp_path / number.name
        with replaced(notes, SEND=str(int(number))) as launcher:
            printed, _ = launcher.communicate(timeout=60)
        assert (printed, launcher.returncode) == ("Stopped.\n", 0)
        assert is_gone(pid_in(notes))


def test_the_supervisor_loads_nothing_of_the_application() -> None:
    asking = (
        "import sys, feedback_push.standalone.supervisor; "
        "print({'celery', 'cryptography', 'environs', 'flask', 'redis', 'sqlalchemy'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", asking], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert said.stdout == "set()\n"
