"""feedback_push/standalone/processes.py, with real children."""

import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from feedback_push.standalone import StartError, processes
from feedback_push.standalone.processes import Child
from tests.servers import wait_until
from tests.standalone.children import LEAVES_ONE, NOTING, STUBBORN, WITH_A_CHILD, launch, pid_in, python
from tests.standalone.launching import is_gone


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_LOOK", 0.02)


def test_a_child_is_asked_to_end_when_the_block_ends(tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with processes.running(python(NOTING, notes)):
        pid = pid_in(notes)
    assert notes.with_suffix(".signal").read_text() == "SIGTERM"
    assert is_gone(pid)


def test_a_child_that_will_not_end_is_killed_when_patience_runs_out(tmp_path: Path) -> None:
    with processes.running(python(STUBBORN, tmp_path / "notes"), patience=0.3):
        pid = pid_in(tmp_path / "notes")
        leaving = time.monotonic()
    assert is_gone(pid)
    assert 0.3 <= time.monotonic() - leaving < 60


def test_a_childs_descendants_end_with_it(tmp_path: Path) -> None:
    with processes.running(python(WITH_A_CHILD, NOTING, tmp_path / "notes")):
        pid = pid_in(tmp_path / "notes")
    wait_until(lambda: is_gone(pid))


def test_the_children_end_when_the_block_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with processes.running(python(NOTING, tmp_path / "notes")):
            raise ZeroDivisionError(pid_in(tmp_path / "notes"))

    with pytest.raises(ZeroDivisionError) as failure:
        fail()
    assert is_gone(failure.value.args[0])


def test_the_first_child_ends_when_the_second_cannot_be_started(tmp_path: Path) -> None:
    first, second = python(NOTING, tmp_path / "notes"), Child("Nothing", [str(tmp_path / "nothing")])
    with pytest.raises(StartError, match=r"Cannot start .*nothing"), processes.running(first, second):
        pass
    assert not processes.is_alive(first)


def test_a_dead_child_is_started_again_after_a_pause(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "log"
    script = f"import time, pathlib; pathlib.Path({str(log)!r}).open('a').write(f'{{time.monotonic()}} ')"
    with (
        pytest.raises(StartError, match="A child ended 5 times in a row"),
        processes.running(python(script)) as children,
    ):
        processes.watch(list(children))
    starts = [float(text) for text in log.read_text().split()]
    pauses = [later - earlier for earlier, later in pairwise(starts)]
    assert len(starts) == 5
    assert all(pause >= 0.02 * 2**number for number, pause in enumerate(pauses))
    assert capfd.readouterr().out.splitlines() == [
        f"A child stopped unexpectedly; restarting it in {pause} s." for pause in ("0.02", "0.04", "0.08", "0.16")
    ]


def test_deaths_before_a_long_life_are_forgotten(capfd: pytest.CaptureFixture[str]) -> None:
    with processes.running(python("")) as (child,):
        child.deaths = 4
        child.started_at -= 61
        with pytest.raises(StartError):
            processes.watch([child])
    assert len(capfd.readouterr().out.splitlines()) == 4


def test_a_dead_childs_processes_are_killed_before_its_restart(tmp_path: Path) -> None:
    with pytest.raises(StartError), processes.running(python(LEAVES_ONE, tmp_path)) as children:
        processes.watch(list(children))
    left = [int(path.name) for path in tmp_path.iterdir()]
    assert len(left) == 5
    wait_until(lambda: all(map(is_gone, left)))


def test_a_command_is_run_to_its_end() -> None:
    assert processes.run(python("raise SystemExit(7)")) == 7


def test_a_function_runs_in_a_fork_until_it_returns_its_exit_code(tmp_path: Path) -> None:
    def write_process() -> int:
        (tmp_path / "pid").write_text(f"{os.getpid()} {os.getpgid(0)} {psutil.Process().name()}")
        return 7

    assert processes.run(Child("The fork", write_process)) == 7
    pid, group, name = (tmp_path / "pid").read_text().split()
    assert pid == group != str(os.getpid())
    assert name == "fork"


def test_a_fork_that_will_not_end_is_killed_when_patience_runs_out(tmp_path: Path) -> None:
    def ignore_the_signal() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        (tmp_path / "pid").write_text(str(os.getpid()))
        time.sleep(60)
        return 0

    with processes.running(Child("The fork", ignore_the_signal), patience=0.3):
        pid = pid_in(tmp_path / "pid")
    assert is_gone(pid)


def test_everything_is_killed_within_the_ten_seconds_that_are_promised() -> None:
    assert processes.PATIENCE + processes.PATIENCE_WITH_BROKER < 10


def test_waiting_ends_with_the_child_that_is_needed() -> None:
    with processes.running(python("")) as (child,):
        before = time.monotonic()
        assert not processes.wait_for(lambda: False, 30, child)
        assert time.monotonic() - before < 25


def test_waiting_has_an_end(tmp_path: Path) -> None:
    with processes.running(python(NOTING, tmp_path / "notes")) as (child,):
        assert not processes.wait_for(lambda: False, 0.2, child)
        assert processes.wait_for(lambda: True, 0.2, child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_the_children_end_even_when_the_launcher_is_killed(tmp_path: Path) -> None:
    with launch(tmp_path / "notes") as launcher:
        pid = pid_in(tmp_path / "notes")
        launcher.kill()
    wait_until(lambda: is_gone(pid))
