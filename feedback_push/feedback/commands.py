"""Commands for operators: one person's data, and the notification of a message."""

import json
from typing import Any

import click
from flask.cli import AppGroup, with_appcontext

from feedback_push import database
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.database import db
from feedback_push.feedback import inbox, personal_data

person = AppGroup("person", help="Export or erase the data of one person.")


@click.command("resend")
@click.argument("message", type=int)
@with_appcontext
def resend(message: int) -> None:
    """Notify the administrators of a MESSAGE again; its number is the last part of its address in the dashboard."""
    if inbox.notify_again(message) is None:
        raise click.ClickException("There is no such message, or it is in spam or deleted.")
    db.session.commit()
    click.echo("Workers send it within seconds. It replaces the earlier notification on devices that still show it.")


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
