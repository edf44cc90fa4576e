"""The file of a backup: a compressed tar archive, encrypted if there is a passphrase.

Its first member, manifest.json, has the format's number, the version of the program, the database's kind and revision,
and the size and SHA-256 hash of every other member. Nothing is read into memory as a whole.
"""

import gzip
import hashlib
import json
import os
import re
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import mkstemp
from typing import Any, BinaryIO, cast

from feedback_push.backup import age
from feedback_push.backup.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
_LARGEST_MANIFEST = 256 * 1024  # bytes
_AT_ONCE = 256 * 1024  # bytes
_SPARE = 16 * 1024 * 1024  # bytes of the disk that stay free
_NAME = re.compile(r"[a-z0-9_]{1,63}(\.[a-z]{1,8})?")
_DAMAGED = "The backup is damaged or incomplete. Use another copy of it."
_BROKEN = (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error)


@dataclass
class Manifest:
    """The description of a backup; `tables` are the columns of each table, in the order in which to fill them."""

    version: str
    created_at: str
    site_url: str
    database: str  # sqlite or postgresql
    revision: str
    tables: dict[str, list[str]] = field(default_factory=dict)
    sequences: dict[str, int] = field(default_factory=dict)
    members: dict[str, dict[str, Any]] = field(default_factory=dict)
    format: int = FORMAT


def write(path: Path, folder: Path, names: list[str], manifest: Manifest, passphrase: str) -> int:
    """Write these files of the folder into a private file at `path`, which is complete or not there.

    Return its size in bytes. An earlier file at the path is replaced at the end.
    """
    manifest.members = {name: _described(folder / name) for name in names}
    (folder / MANIFEST).write_text(json.dumps(asdict(manifest)))
    with _replaced(path) as file:
        writer = age.Writer(file, passphrase) if passphrase else None
        with (
            gzip.GzipFile(fileobj=cast(BinaryIO, writer or file), filename="", mode="wb", compresslevel=5) as packed,
            tarfile.open(fileobj=packed, mode="w|") as archive,
        ):
            for name in (MANIFEST, *names):
                archive.add(folder / name, name, filter=_anonymous)
        if writer:
            writer.close()
        file.flush()
        return file.tell()


def read(path: Path, folder: Path, passphrase: str) -> Manifest:
    """Extract a backup into the folder, and return its description after every member has been verified."""
    try:
        with path.open("rb") as file:
            encrypted = age.is_encrypted(file)
            if encrypted and not passphrase:
                raise BackupError("The backup is encrypted. Run the command with --passphrase-stdin.")
            reader = cast(BinaryIO, age.Reader(file, passphrase)) if encrypted else file
            with gzip.GzipFile(fileobj=reader, mode="rb") as packed:
                return _extract(cast(BinaryIO, packed), folder)
    except _BROKEN:
        raise BackupError(_DAMAGED) from None
    except OSError as error:
        raise BackupError(f"The backup cannot be read: {error.strerror or 'it is damaged'}.") from None


def _extract(packed: BinaryIO, folder: Path) -> Manifest:
    with tarfile.open(fileobj=packed, mode="r|") as archive:
        manifest = _manifest(archive)
        wanted = sum(member["size"] for member in manifest.members.values())
        if shutil.disk_usage(folder).free < wanted + _SPARE:
            raise BackupError(f"The disk is too full: the backup needs {wanted // 2**20 + 1} MB in {folder.parent}.")
        found = {_take(archive, member, folder, manifest) for member in iter(archive.next, None)}
    if found != manifest.members.keys():
        raise BackupError(_DAMAGED)
    while packed.read(_AT_ONCE):  # the end of the file has checksums of its own
        pass
    return manifest


def _manifest(archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > _LARGEST_MANIFEST:
        raise BackupError("The file is not a backup of this program.")
    content = archive.extractfile(first)
    try:
        found = json.loads(content.read() if content else b"")
        if found["format"] != FORMAT:
            raise BackupError("The backup has a format that this version does not know. Install the newest version.")
        manifest = Manifest(**found)
        if all(_NAME.fullmatch(name) and member["size"] >= 0 for name, member in manifest.members.items()):
            return manifest
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BackupError(_DAMAGED) from None
    raise BackupError(_DAMAGED)


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, manifest: Manifest) -> str:
    """Extract one member, compare it with the manifest, and return its name."""
    described = manifest.members.get(member.name)
    content = archive.extractfile(member)
    if content is None or described is None or member.size != described["size"]:
        raise BackupError(_DAMAGED)
    digest = hashlib.sha256()
    with (folder / member.name).open("xb") as file:
        while part := content.read(_AT_ONCE):
            digest.update(part)
            file.write(part)
    if digest.hexdigest() != described["sha256"]:
        raise BackupError(_DAMAGED)
    return member.name


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.mode, member.uid, member.gid, member.uname, member.gname = 0o600, 0, 0, "", ""
    return member


@contextmanager
def _replaced(path: Path) -> Iterator[BinaryIO]:
    """Yield a private file of another name, and give it the path's name once it is on the disk."""
    path = path.absolute()
    try:
        descriptor, name = mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    except OSError as error:
        raise BackupError(f"{path.parent} cannot be written to: {error.strerror}.") from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            os.fsync(descriptor)
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"The backup could not be written: {error.strerror}.") from None
    finally:
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Let a renamed file survive a power cut; some file systems cannot, and need not."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
