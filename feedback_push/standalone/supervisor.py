"""Watch the parts of a site that serves, in a process that has loaded nothing else.

The launcher replaces itself with this program. It has loaded the application for its forks, and would keep 28 MB of
memory that both forks have changed since; this program takes 8 MB.
"""

import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from feedback_push.standalone import StartError, processes, terminal
from feedback_push.standalone.processes import Adopted, Child

_STATE = "FEEDBACK_PUSH_PARTS"


def take_over(brokers: Sequence[Child], parts: Sequence[Child]) -> None:
    """Replace this process, and watch its children; return only if it was asked to stop.

    Files that are inheritable stay open. A stop signal that arrives meanwhile reaches the new program.
    """
    state = json.dumps([[_describe(child) for child in group] for group in (brokers, parts)])
    signal.pthread_sigmask(signal.SIG_BLOCK, terminal.STOPS)
    if not terminal.asked_to_stop():
        environment = processes.public_environment() | {_STATE: state}
        os.execve(sys.executable, [sys.executable, "-m", __name__], environment)  # noqa: S606 - no shell


def main() -> int:
    """Keep the parts running until a stop signal, then stop them; return an exit code."""
    terminal.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, terminal.STOPS)
    brokers, parts = ([_adopt(**each) for each in group] for group in json.loads(os.environ.pop(_STATE)))
    try:
        processes.watch([*brokers, *parts])
    except StartError as error:
        terminal.say(error, error=True)
        return 1
    finally:
        processes.stop(parts, processes.PATIENCE)
        processes.stop(brokers, processes.PATIENCE_WITH_BROKER)
    terminal.say("Stopped.")
    return 0


def _describe(child: Child) -> dict[str, object]:
    pid = child.process.pid if child.process and processes.is_alive(child) else None
    program = child.again or child.program
    return {"name": child.name, "program": program, "passes": child.passes, "started_at": child.started_at, "pid": pid}


def _adopt(pid: int | None, **fields: Any) -> Child:
    return Child(**fields, process=None if pid is None else Adopted(pid))


if __name__ == "__main__":
    sys.exit(main())
