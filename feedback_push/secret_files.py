"""Keep files with secrets private: refuse to start if other users can read one, and create new ones as private."""

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkstemp
from urllib.parse import unquote

_SIDE_FILES = ("", "-wal", "-shm", "-journal")  # SQLite gives each the mode of the database at that moment
_GROUP, _OTHERS = 0o070, 0o007
_PASSABLE = 0o011


def problems(dotenv: Path, instance: Path, database_url: str) -> Iterator[str]:
    """Return a sentence, with the command that fixes it, for each of our files that other users can read."""
    dotenv = dotenv.absolute()
    database = sqlite_file(database_url)
    inside = [instance / "secrets.env", *(_with_side_files(database) if database else [])]
    opened = [dotenv] if _is_open(dotenv, []) else []
    opened += [path for path in inside if instance in path.parents and _is_open(path, _folders(path, instance))]
    yield from (f"{path}: others can read it. Run: chmod 600 {shlex.quote(str(path))}" for path in opened)


def is_open_to_others(path: Path) -> bool:
    """Return whether other users can read this file of ours, considering the modes of all folders above it."""
    return _is_open(path, path.parents)


def sqlite_file(url: str) -> Path | None:
    """Return the absolute path of the file in a SQLite URL, or None for any other URL."""
    scheme, _, rest = url.partition(":///")
    path = unquote(rest.partition("?")[0])
    return Path(path) if scheme == "sqlite" and path.startswith("/") else None


def create_private(path: Path) -> None:
    """Create the file with access for its owner only; an existing file keeps its mode."""
    with suppress(OSError):  # if it cannot be created, the next open reports why
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def replace(path: Path, text: str) -> None:
    """Write a private file at once, or leave it as it was; raise OSError."""
    descriptor, name = mkstemp(dir=path.parent, prefix=path.name)  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink()
        raise


def _with_side_files(path: Path) -> list[Path]:
    return [path.with_name(path.name + ending) for ending in _SIDE_FILES]


def _folders(path: Path, instance: Path) -> list[Path]:
    """Return the folders above the file, from its own up to the instance folder."""
    return [folder for folder in path.parents if folder == instance or instance in folder.parents]


def _is_open(path: Path, folders: Iterable[Path]) -> bool:
    # Other systems emulate modes. Another user's file is for that user to protect.
    if os.name != "posix":
        return False
    try:
        found = path.stat()
        ways = [folder.stat().st_mode & _PASSABLE for folder in folders]
    except OSError:
        return False
    if found.st_uid != os.geteuid():
        return False
    return any(found.st_mode & bits and all(way & bits for way in ways) for bits in (_GROUP, _OTHERS))
