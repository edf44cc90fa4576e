"""Start, watch, restart and stop the launcher's child processes; none can outlive the launcher."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from feedback_push.standalone import StartError
from feedback_push.standalone.terminal import asked_to_stop, say

_TICK = 0.2
_MOST_DEATHS = 5  # in a row
_STEADY = 60.0  # seconds; after running this long, earlier deaths no longer count
_PR_SET_PDEATHSIG = 1
_ONLY_FOR_FIRST_RUN = ("ADMIN_EMAIL", "ADMIN_PASSWORD")

_libc = ctypes.CDLL(None)


@dataclass
class Child:
    """A program that should run until the launcher stops."""

    name: str
    command: list[str]
    listener: int | None = None  # a file descriptor to inherit
    knows_administrator: bool = False  # gets the first administrator's variables
    pause: float = 1.0  # seconds before the first restart; doubles with each further one
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    deaths: int = 0
    restart_at: float | None = None


def run(command: list[str]) -> int:
    """Run a command until it ends or we are asked to stop, with our whole environment; return its exit code."""
    with running(Child(command[0], command, knows_administrator=True)) as (child,):
        while is_alive(child) and not asked_to_stop():
            time.sleep(_TICK / 4)
    return child.process.returncode if child.process else 1


@contextmanager
def running(*children: Child, patience: float = 6.0) -> Iterator[tuple[Child, ...]]:
    """Start the children, and stop them when the block ends, even by an exception."""
    try:
        for child in children:
            start(child)
        yield children
    finally:
        stop(children, patience)


def start(child: Child) -> None:
    """Start a child that gets no signals from our terminal, so that only we stop it, in the right order."""
    child.started_at = time.monotonic()
    child.restart_at = None
    try:
        child.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            child.command,
            env=_environment(child),
            stdin=subprocess.DEVNULL,
            pass_fds=() if child.listener is None else (child.listener,),
            start_new_session=True,
            preexec_fn=_end_with_the_launcher if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
        )
    except OSError as error:
        raise StartError(f"Cannot start {child.command[0]}: {error.strerror}.") from None


def is_alive(child: Child) -> bool:
    """Return whether the child is running."""
    return child.process is not None and child.process.poll() is None


def wait_for(ready: Callable[[], bool], seconds: float, needed: Child) -> bool:
    """Wait at most `seconds` for `ready()` and return its result; give up if asked to stop or if `needed` ends."""
    deadline = time.monotonic() + seconds
    while not (done := ready()) and time.monotonic() < deadline and is_alive(needed) and not asked_to_stop():
        time.sleep(_TICK / 4)
    return done


def watch(children: list[Child]) -> None:
    """Keep the children running until asked to stop. Raise StartError if one ends 5 times in a row."""
    while not asked_to_stop():
        for child in children:
            if not is_alive(child):
                _bring_back(child)
        time.sleep(_TICK)


def stop(children: tuple[Child, ...], patience: float) -> None:
    """Ask all children to end, and kill the rest after `patience` seconds."""
    processes = [child.process for child in children if child.process]
    for process in processes:
        process.terminate()
    deadline = time.monotonic() + patience
    for process in processes:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, deadline - time.monotonic()))
        _kill_group(process)
        process.wait()


def _environment(child: Child) -> dict[str, str]:
    # .env was read into our environment, so it may contain variables that only the first run needs.
    withheld = () if child.knows_administrator else _ONLY_FOR_FIRST_RUN
    return {name: value for name, value in os.environ.items() if name not in withheld}


def _bring_back(child: Child) -> None:
    if child.restart_at is None:
        _plan_restart(child)
    elif time.monotonic() >= child.restart_at:
        start(child)


def _plan_restart(child: Child) -> None:
    if child.process:
        _kill_group(child.process)
    lived = time.monotonic() - child.started_at
    child.deaths = child.deaths + 1 if lived < _STEADY else 1
    if child.deaths == _MOST_DEATHS:
        raise StartError(f"{child.name} ended {_MOST_DEATHS} times in a row. Its messages above may say why.")
    pause = child.pause * 2 ** (child.deaths - 1)
    child.restart_at = time.monotonic() + pause
    say(f"{child.name} stopped unexpectedly; restarting it in {pause:g} s.")


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    # Each child leads its own process group, so this also ends processes that a dead child left, such as a web worker.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_with_the_launcher() -> None:
    # Linux sends the child this signal when the launcher dies, even by kill -9.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
