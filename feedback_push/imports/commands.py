"""The command that imports the data of another program."""

from itertools import islice
from pathlib import Path

import click
from environs import ValidationError
from flask.cli import with_appcontext

from feedback_push import vapid_formats
from feedback_push.auth import accounts, audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.database import db
from feedback_push.imports import files, store
from feedback_push.imports.records import ImportRefused
from feedback_push.imports.store import Counts, Owners
from feedback_push.push import keys
from feedback_push.topics import topics


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--vapid-key", help="The private key that the subscriptions were made with, or the path of its file.")
@click.option("--user", "email", help="The account whose devices the subscriptions become.")
@click.option("--topic", "slug", help="The topic whose followers the subscriptions become.")
@click.option("--dry-run", is_flag=True, help="Check the whole file, and store nothing.")
@with_appcontext
def import_file(file: Path, vapid_key: str | None, email: str | None, slug: str | None, dry_run: bool) -> None:
    """Import messages and push subscriptions from FILE.

    FILE is the SQLite database of the Django tutorial, the output of Django's `manage.py dumpdata`, a CSV file with
    messages, or a JSON list of push subscriptions. Messages come as read, and notify nobody. Subscriptions go on
    receiving, because the key they were made with comes along.
    """
    owners = _owners(email, slug)
    found = store.check(files.read(file), owners)
    if found.devices and not vapid_key:
        raise ImportRefused("The file has subscriptions. Name the key that they were made with: --vapid-key.")
    click.echo(f"{file} has {found.messages} messages and {found.devices} subscriptions.")
    if dry_run:
        return
    public_key = keys.add(_private_key(vapid_key)) if vapid_key and found.devices else ""
    counts = _store(file, owners, public_key)
    click.echo(f"Imported {counts.messages} messages and {counts.devices} devices; {counts.known} were there already.")
    if counts.without_owner:
        click.echo(
            f"{len(counts.without_owner)} subscriptions belong to nobody who has an account here, the first of them "
            f"{counts.without_owner[0]}. Add their accounts, or name one with --user, and import the file again."
        )


def _owners(email: str | None, slug: str | None) -> Owners:
    if email and slug:
        raise ImportRefused("Choose --user or --topic.")
    user, topic = accounts.find(email) if email else None, topics.find(slug) if slug else None
    if email and not user:
        raise ImportRefused(f"There is no account {email}.")
    if slug and not topic:
        raise ImportRefused(f"There is no topic {slug}.")
    return Owners(user, topic)


def _private_key(value: str) -> str:
    try:
        return vapid_formats.private_key(value)
    except ValidationError as error:
        raise ImportRefused(f"--vapid-key is {error}") from None


def _store(file: Path, owners: Owners, public_key: str) -> Counts:
    counts = Counts()
    records = files.read(file)
    while batch := list(islice(records, store.BATCH)):
        store.store(batch, owners, public_key, counts)
        db.session.commit()
    audit.record(AuditEvent.DATA_IMPORTED, messages=counts.messages, devices=counts.devices)
    db.session.commit()
    return counts
