"""Commands with which the operator exports or erases everything stored about one person."""

import json
from typing import Any

import click
from flask.cli import AppGroup

from feedback_push import database
from feedback_push.auth import audit
from feedback_push.auth.models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import personal_data

person = AppGroup("person", help="Export or erase the data of one person.")


@person.command("export")
@click.argument("email")
def export_person(email: str) -> None:
    """Print everything about a person as JSON: messages, the deliveries of each notification, and account."""
    audit.record(AuditEvent.MESSAGES_EXPORTED, messages=personal_data.count(email))
    db.session.commit()
    click.echo(f'{{\n  "email": {_json(email.strip())},\n  "messages": [', nl=False)
    separator = ""
    for message in personal_data.messages(email):
        click.echo(f"{separator}\n    {_json(message, '    ')}", nl=False)
        separator = ","
    account = personal_data.account(email)
    db.session.rollback()
    click.echo(f'\n  ],\n  "account": {_json(account, "  ")}\n}}')


@person.command("erase")
@click.argument("email")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def erase_person(email: str, yes: bool) -> None:
    """Permanently erase a person's messages, including archived and deleted ones, and their notifications."""
    if not yes:
        found = personal_data.count(email)
        db.session.rollback()  # hold no transaction open during the prompt
        click.confirm(f"Permanently erase {found} messages from {email}?", abort=True)
    erased = 0
    database.secure_delete()
    while batch := personal_data.erase_some(email):
        erased += batch
        audit.record(AuditEvent.MESSAGES_DELETED, messages=batch)
        db.session.commit()
    db.session.rollback()
    database.secure_delete()
    click.echo(f"{erased} messages erased, with their notifications and deliveries.")
    click.echo("Earlier backups still contain them.")
    if personal_data.has_account(email):
        click.echo(f"The account for {email} was not erased.")


def _json(value: Any, indent: str = "") -> str:
    return json.dumps(value, ensure_ascii=False, indent=2).replace("\n", f"\n{indent}")
