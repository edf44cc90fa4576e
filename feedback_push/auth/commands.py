"""Define the operator's commands for accounts and the audit log."""

import sys

import click
from flask.cli import AppGroup

from feedback_push.auth import accounts, audit, roles, sessions, sign_in_links
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEntry, AuditEvent
from feedback_push.auth.models import Role, User
from feedback_push.database import db

user = AppGroup("user", help="Manage administrators' accounts.")
audit_log = AppGroup("audit", help="Show events of accounts, devices, keys and messages.")
_roles = click.Choice([role.value for role in Role])
_LAST_OWNER = "This is the only owner, and a site needs one. First make another account an owner."
_password_stdin = click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")


@user.command("create")
@click.argument("email")
@click.option("--role", type=_roles, default=Role.OWNER.value, show_default=True, help="The role of the account.")
@_password_stdin
def create_user(email: str, role: str, password_stdin: bool) -> None:
    """Create an account."""
    try:
        account = accounts.create(email, _password(password_stdin), Role(role))
    except AccountError as error:
        raise click.ClickException(str(error)) from None
    db.session.commit()
    click.echo(f"{account.email} can sign in now.")


@user.command("list")
def list_users() -> None:
    """Show every account with its role."""
    for account in accounts.list_all():
        name = f"  {account.name}" if account.name else ""
        click.echo(f"{account.email}  {account.role}  since {account.created_at:%Y-%m-%d}{name}")


@user.command("role")
@click.argument("email")
@click.argument("role", type=_roles)
def change_role(email: str, role: str) -> None:
    """Make an account an owner, who may do everything, or a member, who works on messages."""
    account = _find(email)
    try:
        changed = roles.change(account, Role(role))
    except roles.LastOwner:
        raise click.ClickException(_LAST_OWNER) from None
    if changed:
        audit.record(AuditEvent.ROLE_CHANGED, account=account.email, role=role)
    db.session.commit()
    click.echo(f"{account.email} is {'an owner' if role == Role.OWNER else 'a member'} now.")


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
@click.option(
    "--without-second-factor", is_flag=True, help="Replace the second factor, too: for somebody who has lost it."
)
def make_sign_in_link(email: str, without_second_factor: bool) -> None:
    """Print a link that signs the account in once, within ten minutes; it replaces any earlier link.

    The link replaces the password. An account with a second factor is asked for that too, unless you say otherwise.
    """
    account = _find(email)
    address = sign_in_links.make(account, without_second_factor=without_second_factor)
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
    try:
        accounts.delete(account)
    except roles.LastOwner:
        raise click.ClickException(_LAST_OWNER) from None
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
