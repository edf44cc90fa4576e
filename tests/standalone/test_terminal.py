"""feedback_push/standalone/terminal.py, in a launcher with a child."""

import os
import signal
import time
from pathlib import Path

import pytest

from tests.servers import wait_until
from tests.standalone.children import launch, pid_in
from tests.standalone.launching import is_gone


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_terminal_reaches_the_launcher_alone(tmp_path: Path, number: signal.Signals) -> None:
    with launch(tmp_path / "notes") as launcher:
        pid = pid_in(tmp_path / "notes")
        os.killpg(launcher.pid, number)
        assert launcher.communicate(timeout=60)[0] == "stopped\n"
    assert launcher.returncode == 0
    assert (tmp_path / "notes.signal").read_text() == "SIGTERM"
    assert is_gone(pid)


def test_nohup_is_respected(tmp_path: Path) -> None:
    with launch(tmp_path / "notes", nohup=True) as launcher:
        pid = pid_in(tmp_path / "notes")
        launcher.send_signal(signal.SIGHUP)
        time.sleep(0.5)
        assert not is_gone(pid)
        launcher.terminate()
    assert is_gone(pid)


def test_the_children_are_looked_after_when_nobody_reads_our_output_any_more(tmp_path: Path) -> None:
    with launch(tmp_path / "notes") as launcher:
        dead = pid_in(tmp_path / "notes")
        assert launcher.stdout
        launcher.stdout.close()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: pid_in(tmp_path / "notes") != dead)
        launcher.terminate()
        launcher.wait(60)
    assert is_gone(pid_in(tmp_path / "notes"))
