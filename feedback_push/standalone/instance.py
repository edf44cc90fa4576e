"""The instance folder: private to its owner, and for one launcher at a time."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feedback_push.standalone import StartError


def private_folder(path: Path) -> None:
    """Make a folder that only we may enter, or shut an existing one of ours to others."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # lstat too: in a shared folder such as /tmp somebody else's link could lead to a folder of ours.
        if {path.lstat().st_uid, path.stat().st_uid} != {os.geteuid()}:
            raise StartError(f"The folder {path} belongs to another user.")
        path.chmod(0o700)
    except OSError as error:
        raise StartError(f"Cannot use the folder {path}: {error.strerror}.") from None


@contextmanager
def only_launcher(path: Path) -> Iterator[None]:
    """Hold the folder against a second launcher; the system lets go of it even after kill -9."""
    with (path / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StartError(f"Feedback Push is already running with the folder {path}.") from None
        yield
