"""Keep the instance folder private to its owner, and allow only one launcher at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedback_push.standalone import StartError


def private_folder(path: Path) -> None:
    """Create a folder that only its owner can enter, or make our existing folder private."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # lstat, too: in a shared folder such as /tmp, another user's link could lead to our folder.
        if {path.lstat().st_uid, path.stat().st_uid} != {os.geteuid()}:
            raise StartError(f"The folder {path} belongs to another user.")
        path.chmod(0o700)
    except OSError as error:
        raise StartError(f"Cannot use the folder {path}: {error.strerror}.") from None


@contextmanager
def only_launcher(path: Path) -> Iterator[None]:
    """Lock the folder against a second launcher; the system releases the lock even after kill -9."""
    with (path / "run.lock").open("w") as lock:
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # which forks do not inherit
            os.set_inheritable(lock.fileno(), True)  # the program that replaces the launcher keeps the lock
        except (BlockingIOError, PermissionError):
            raise StartError(f"Feedback Push is already running with the folder {path}.") from None
        yield
