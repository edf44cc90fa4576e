"""Make a backup and restore it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sqlalchemy import inspect
from sqlalchemy.exc import DBAPIError

from feedback_push import branding_validators, database, secret_files
from feedback_push.backup import archive, keys, postgresql_copy, sqlite_copy
from feedback_push.backup.archive import Manifest
from feedback_push.backup.errors import BackupError
from feedback_push.config import Settings, current_settings
from feedback_push.database import db, utcnow
from feedback_push.installation import VERSION
from feedback_push.push import heartbeats

_LOGO = "logo"
_EXTENSIONS = {"image/png": "png", "image/jpeg": "jpg", "image/webp": "webp", "image/svg+xml": "svg"}


class Made(NamedTuple):
    """A backup that is complete."""

    size: int  # bytes
    encrypted: bool


def make(path: Path, passphrase: str) -> Made:
    """Write a backup of this site into a file, also while the site is running."""
    settings = current_settings()
    manifest = Manifest(
        version=VERSION,
        created_at=utcnow().isoformat(timespec="seconds"),
        site_url=settings.site_url,
        database=_kind(settings),
        revision="",
    )
    db.session.rollback()  # copy without a transaction of our own
    with _private_folder(settings.instance_dir) as folder:
        (folder / keys.NAME).write_text(keys.export(settings))
        names = [keys.NAME, *_logo(settings, folder), *_database(settings, folder, manifest)]
        size = archive.write(path, folder, names, manifest, passphrase)
    return Made(size, bool(passphrase))


def restore(path: Path, passphrase: str, *, replace: bool) -> Manifest:
    """Put the database, the keys and the logo of a backup in place; change nothing before everything is verified."""
    settings = current_settings()
    db.session.remove()
    settings.instance_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _private_folder(settings.instance_dir) as folder:
        manifest = archive.read(path, folder, passphrase)
        _check(manifest, settings)
        planned = keys.plan(folder / keys.NAME, settings, replace=replace)
        _refuse_if_used(settings, replace=replace)
        if manifest.database == "sqlite":
            sqlite_copy.verify(folder / sqlite_copy.NAME)
            sqlite_copy.upgrade(folder / sqlite_copy.NAME)
            sqlite_copy.put_in_place(folder / sqlite_copy.NAME, _file(settings))
        else:
            postgresql_copy.restore(db.engine, folder, manifest)
        heartbeats.forget_all()
        db.session.commit()
        db.session.remove()
        db.engine.dispose()
        planned.carry_out(**_place_logo(settings, folder, manifest))
    return manifest


def _database(settings: Settings, folder: Path, manifest: Manifest) -> list[str]:
    if manifest.database == "postgresql":
        return postgresql_copy.snapshot(db.engine, folder, manifest)
    manifest.revision = sqlite_copy.snapshot(_file(settings), folder / sqlite_copy.NAME)
    return [sqlite_copy.NAME]


def _logo(settings: Settings, folder: Path) -> list[str]:
    if not settings.site_logo:
        return []
    shutil.copyfile(settings.site_logo, folder / _LOGO)
    return [_LOGO]


def _place_logo(settings: Settings, folder: Path, manifest: Manifest) -> dict[str, str]:
    """Store the logo in the instance folder and return its setting, unless another logo is set."""
    if _LOGO not in manifest.members or settings.site_logo:
        return {}
    picture = (folder / _LOGO).read_bytes()[: branding_validators.LARGEST_LOGO]
    target = settings.instance_dir / f"logo.{_EXTENSIONS.get(branding_validators.picture_type(picture), 'png')}"
    target.write_bytes(picture)
    return {"SITE_LOGO": str(target)}


def _check(manifest: Manifest, settings: Settings) -> None:
    """Raise BackupError if this program and its database cannot take this backup."""
    if manifest.revision not in database.revisions():
        raise BackupError(
            f"The backup was made by version {manifest.version}, which is newer than this one "
            f"({VERSION}). Install that version, then restore."
        )
    if manifest.database != _kind(settings):
        raise BackupError(f"The backup is of a {manifest.database} database, but DATABASE_URL names another kind.")
    files = {f"{table}.copy" for table in manifest.tables} or {sqlite_copy.NAME}
    if not {keys.NAME, *files} <= manifest.members.keys():
        raise BackupError("The backup is incomplete. Use another one.")


def _refuse_if_used(settings: Settings, *, replace: bool) -> None:
    """Raise BackupError if the site is running, or if the database has rows that may not be lost."""
    is_sqlite = _kind(settings) == "sqlite"
    has_rows = sqlite_copy.has_rows(_file(settings)) if is_sqlite else postgresql_copy.has_rows(db.engine)
    if not has_rows:
        return
    if not replace:
        raise BackupError("The database already has data. Add --replace to lose it and to restore the backup instead.")
    if running := _running_workers():
        raise BackupError(
            f"The site is running: {running} was alive within the last {heartbeats.SILENT.seconds} seconds. "
            "Stop the web server and all workers, then try again."
        )


def _running_workers() -> str:
    try:
        if not inspect(db.engine).has_table("push_worker"):
            return ""
        alive = [worker.name for worker in heartbeats.workers() if worker.seen_at > utcnow() - heartbeats.SILENT]
    except DBAPIError:
        return ""
    finally:
        db.session.remove()
        db.engine.dispose()
    return ", ".join(alive)


def _kind(settings: Settings) -> str:
    return settings.database_url.partition(":")[0].partition("+")[0]


def _file(settings: Settings) -> Path:
    path = secret_files.sqlite_file(settings.database_url)
    if path is None:
        raise BackupError("DATABASE_URL names no file. Set it, then try again.")
    return path


@contextmanager
def _private_folder(instance: Path) -> Iterator[Path]:
    """Yield a new folder for the parts, on the disk of the instance folder, that only its owner can enter."""
    try:
        with TemporaryDirectory(dir=instance, prefix=".backup-") as name:
            yield Path(name)
    except OSError as error:
        raise BackupError(f"{instance} cannot be used: {error.strerror}.") from None
