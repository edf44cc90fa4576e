"""The operator's commands: accounts and VAPID keys."""

import os
import sys

import click
from flask import Flask
from flask.cli import AppGroup

from feedback_push import database
from feedback_push.auth import accounts
from feedback_push.auth.accounts import AccountError
from feedback_push.database import db
from feedback_push.feedback.commands import person
from feedback_push.push.commands import vapid_keys

user = AppGroup("user", help="Administrators' accounts.")
_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


def needs_no_settings() -> bool:
    """Whether the command of this process is one that comes before there are any settings."""
    return os.environ.get("FLASK_RUN_FROM_CLI") == "true" and sys.argv[-2:] == ["vapid", "generate"]


def init_app(app: Flask) -> None:
    """Add the commands to `flask --app wsgi`."""
    if os.environ.get("FLASK_RUN_FROM_CLI") == "true":
        database.enable_migrations(app)
    app.cli.add_command(user)
    app.cli.add_command(vapid_keys)
    app.cli.add_command(person)


@user.command("create")
@click.argument("email")
@_password_stdin
def create_user(email: str, password_stdin: bool) -> None:
    """Make an account."""
    try:
        account = accounts.create(email, _password(password_stdin))
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    db.session.commit()
    click.echo(f"{account.email} can sign in now.")


@user.command("list")
def list_users() -> None:
    """Show every account."""
    for account in accounts.every():
        click.echo(f"{account.email}  since {account.created_at:%Y-%m-%d}")


@user.command("password")
@click.argument("email")
@_password_stdin
def change_password(email: str, password_stdin: bool) -> None:
    """Change a password; the user is signed out everywhere."""
    account = accounts.find(email)
    if account is None:
        raise click.ClickException(f"There is no account for {email}.")
    try:
        accounts.set_password(account, _password(password_stdin))
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    db.session.commit()
    click.echo(f"The password of {account.email} is changed.")


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True)
