"""Define the operator's commands for accounts and the audit log."""

import sys

import click
from flask.cli import AppGroup

from feedback_push.auth import accounts, audit, sessions, sign_in_links
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.models import AuditEntry, AuditEvent, User
from feedback_push.database import db

user = AppGroup("user", help="Manage administrators' accounts.")
audit_log = AppGroup("audit", help="Show events of accounts, devices, keys and messages.")
_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@user.command("create")
@click.argument("email")
@_password_stdin
def create_user(email: str, password_stdin: bool) -> None:
    """Create an account."""
    try:
        account = accounts.create(email, _password(password_stdin))
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    db.session.commit()
    click.echo(f"{account.email} can sign in now.")


@user.command("list")
def list_users() -> None:
    """Show every account."""
    for account in accounts.list_all():
        click.echo(f"{account.email}  since {account.created_at:%Y-%m-%d}")


@user.command("password")
@click.argument("email")
@_password_stdin
def change_password(email: str, password_stdin: bool) -> None:
    """Change a password; the user is signed out everywhere."""
    _find(email)
    db.session.rollback()  # no transaction stays open while the operator types
    password = _password(password_stdin)
    account = _find(email)
    try:
        accounts.set_password(account, password)
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    db.session.commit()
    click.echo(f"The password of {account.email} is changed.")


@user.command("sign-in-link")
@click.argument("email")
def make_sign_in_link(email: str) -> None:
    """Print a link that signs the account in once, within ten minutes; it replaces any earlier link."""
    account = _find(email)
    address = sign_in_links.make(account)
    db.session.commit()
    click.echo(address)


@user.command("sign-out")
@click.argument("email")
def sign_out(email: str) -> None:
    """End all sessions of an account."""
    account = _find(email)
    ended = sessions.end_all(account)
    audit.record(AuditEvent.SESSIONS_ENDED, account, sessions=ended)
    db.session.commit()
    click.echo(f"{account.email} is signed out everywhere; sessions ended: {ended}.")


@user.command("delete")
@click.argument("email")
def delete_user(email: str) -> None:
    """Delete an account with its sessions and devices; messages and the audit log stay."""
    account = _find(email)
    accounts.delete(account)
    db.session.commit()
    click.echo(f"The account {email.strip().lower()} is deleted.")


@audit_log.command("list")
@click.option(
    "--most", default=50, show_default=True, type=click.IntRange(1, 1_000_000), help="Maximum number of entries."
)
def list_audit(most: int) -> None:
    """Show the newest entries of the audit log, the newest first.

    Entries with the same number after "network" came from the same network. The number is a hash: nobody can turn it
    back into an address.
    """
    lines = [_line(entry) for entry in audit.page(size=most).entries]
    db.session.rollback()  # no transaction stays open while the operator reads in a pager
    for line in lines:
        click.echo(line)


def _line(entry: AuditEntry) -> str:
    times = f" ({entry.count} times)" if entry.count > 1 else ""
    whence = f"{entry.browser}, network {entry.address_hash[:8]}" if entry.browser else "command"
    return f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.email or '-'}  {audit.label(entry)}{times}  [{whence}]"


def _find(email: str) -> User:
    account = accounts.find(email)
    if account is None:
        raise click.ClickException(f"There is no account for {email}.")
    return account


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True)
