"""Start, watch, restart and stop the launcher's child processes; none can outlive the launcher."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.context import ForkProcess

from feedback_push.standalone import StartError
from feedback_push.standalone.terminal import asked_to_stop, say

_TICK = 0.2  # seconds
_LOOK = 0.5  # seconds; five looks a second at the children are 0.04 % of a core
_MOST_DEATHS = 5  # in a row
PATIENCE = 6.0  # seconds for the parts of the site to stop
PATIENCE_WITH_BROKER = 2.0
_STEADY = 60.0  # seconds; after running this long, earlier deaths no longer count
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_ONLY_FOR_FIRST_RUN = ("ADMIN_EMAIL", "ADMIN_PASSWORD")

_libc = ctypes.CDLL(None)
_libc.getenv.restype = ctypes.c_void_p


class _Fork(ForkProcess):
    """A function in a fork, with the methods of subprocess.Popen."""

    @property
    def returncode(self) -> int | None:
        return self.exitcode

    def poll(self) -> int | None:
        return self.exitcode

    def wait(self, timeout: float | None = None) -> None:
        self.join(timeout)
        if self.exitcode is None:
            raise subprocess.TimeoutExpired(self.name, timeout or 0)


class Adopted:
    """A child that this process has started before it became another program, with the methods of subprocess.Popen."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, or None while it runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # whoever started us ignores SIGCHLD, so the system keeps no exit code
                self.returncode = 0
            else:
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> None:
        """Wait until it ends. Raise TimeoutExpired after `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.poll() is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            time.sleep(_TICK / 4)

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


@dataclass
class Child:
    """A program that should run until the launcher stops."""

    name: str
    program: list[str] | Callable[[], int]  # a command, or a function to run in a fork, which returns an exit code
    again: list[str] | None = None  # the command that starts it again if the program is a function
    passes: Sequence[int] = ()  # the numbers of the files that a command inherits
    knows_administrator: bool = False  # gets the first administrator's variables
    pause: float = 1.0  # seconds before the first restart; doubles with each further one
    process: subprocess.Popen[bytes] | _Fork | Adopted | None = None
    started_at: float = 0.0
    deaths: int = 0
    restart_at: float | None = None


def run(child: Child) -> int:
    """Run a child until it ends or we are asked to stop; return its exit code."""
    with running(child):
        while is_alive(child) and not asked_to_stop():
            time.sleep(_TICK / 4)
    return 1 if child.process is None or child.process.returncode is None else child.process.returncode


@contextmanager
def running(*children: Child, patience: float = PATIENCE) -> Iterator[tuple[Child, ...]]:
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
    if callable(child.program):
        child.process = _Fork(target=_run_fork, args=(child,), name=child.name)
        child.process.start()
        return
    try:
        child.process = subprocess.Popen(  # noqa: S603 - the commands are our own
            child.program,
            env=_environment(child),
            stdin=subprocess.DEVNULL,
            pass_fds=child.passes,
            start_new_session=True,
            preexec_fn=_end_with_the_launcher if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads here
        )
    except OSError as error:
        raise StartError(f"Cannot start {child.program[0]}: {error.strerror}.") from None


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
        time.sleep(_LOOK)


def stop(children: Sequence[Child], patience: float) -> None:
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


def show_as(name: str) -> None:
    """Set the name of this process that ps and top show."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_NAME, name.encode())


def public_environment() -> dict[str, str]:
    """Return the environment without the variables that only the first run needs."""
    return {name: value for name, value in os.environ.items() if name not in _ONLY_FOR_FIRST_RUN}


def _run_fork(child: Child) -> None:
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if sys.platform == "linux":
        _end_with_the_launcher()
        show_as(child.name.lower().removeprefix("the "))
    for name in os.environ.keys() - _environment(child).keys():
        _erase_variable(name)
    if callable(child.program):
        sys.exit(child.program())


def _erase_variable(name: str) -> None:
    # Also where the kernel shows it, in /proc/self/environ, which unsetenv leaves as it was at the start.
    if value := _libc.getenv(name.encode()):
        length = len(name) + 1 + len(os.environb[name.encode()])
        ctypes.memset(value - len(name) - 1, 0, length)
    del os.environ[name]


def _environment(child: Child) -> dict[str, str]:
    # .env was read into our environment, so it may contain variables that only the first run needs.
    return dict(os.environ) if child.knows_administrator else public_environment()


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


def _kill_group(process: subprocess.Popen[bytes] | _Fork | Adopted) -> None:
    # Each child leads its own process group, so this also ends processes that a dead child left, such as a web worker.
    if process.pid:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_with_the_launcher() -> None:
    # Linux sends the child this signal when the launcher dies, even by kill -9.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
