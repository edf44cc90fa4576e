"""Commands for operators: make a backup, and restore it."""

import sys
from pathlib import Path

import click
from flask import current_app
from flask.cli import with_appcontext

from feedback_push.backup import runs
from feedback_push.backup.errors import BackupError
from feedback_push.config import Examined, current_settings
from feedback_push.database import DATABASE_ERRORS, db

_LONGEST = 1024  # characters of a passphrase
_SHORTEST = 12
_FILE = click.Path(path_type=Path, dir_okay=False)
_passphrase_stdin = click.option(
    "--passphrase-stdin", is_flag=True, help="Encrypt or decrypt with a passphrase from standard input."
)


@click.command("backup")
@click.argument("file", type=_FILE)
@_passphrase_stdin
@with_appcontext
def backup(file: Path, passphrase_stdin: bool) -> None:
    """Write the database, the keys and the logo into FILE, while the site may be running."""
    from feedback_push.backup import backups  # noqa: PLC0415 - or every process would load PostgreSQL's driver

    passphrase = _passphrase() if passphrase_stdin else ""
    if passphrase_stdin and len(passphrase) < _SHORTEST:
        raise click.ClickException(f"The passphrase must have at least {_SHORTEST} characters.")
    try:
        made = backups.make(file, passphrase)
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    try:
        runs.record(made.size, encrypted=made.encrypted)
        db.session.commit()
    except DATABASE_ERRORS:
        db.session.rollback()
        click.echo("The backup is complete, but its time could not be stored for the doctor.", err=True)
    click.echo(f"{file}: {made.size / 1000:,.0f} kB, {'encrypted' if made.encrypted else 'not encrypted'}.")
    if not made.encrypted:
        click.echo("It holds every message and the keys of this site: keep it where nobody else can read it.")


@click.command("restore")
@click.argument("file", type=_FILE)
@_passphrase_stdin
@click.option("--replace", is_flag=True, help="Lose the data and the keys that are there now.")
@with_appcontext
def restore(file: Path, passphrase_stdin: bool, replace: bool) -> None:
    """Put the database, the keys and the logo of FILE in place; stop the site first."""
    from feedback_push.backup import backups  # noqa: PLC0415 - as above

    examined: Examined | None = current_app.extensions["examined"]
    if examined and "DATABASE_URL" in examined.invalid:
        raise click.ClickException("DATABASE_URL cannot be used. Correct it first.")
    try:
        manifest = backups.restore(file, _passphrase() if passphrase_stdin else "", replace=replace)
    except BackupError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Restored the backup of {manifest.created_at}, version {manifest.version}.")
    if manifest.site_url != current_settings().site_url:
        click.echo(f"It is of {manifest.site_url}. Set SITE_URL to that address: devices know no other.")


def _passphrase() -> str:
    return sys.stdin.readline(_LONGEST).rstrip("\r\n")
