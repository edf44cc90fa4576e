"""Replace the master secret: encrypt what is stored with the new one, and keep what was derived from the old one."""

import re
import secrets
from collections import Counter
from datetime import date, timedelta

import click
from dotenv import dotenv_values
from flask.cli import AppGroup

from feedback_push import encryption, private_links, secret_files, site_secrets
from feedback_push.api import host_users
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.sessions import LONGEST_REMEMBERED
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.feedback import site_forms
from feedback_push.feedback.form_models import Form
from feedback_push.installation import COMMAND

_SECRET_KEY = "SECRET_KEY"  # noqa: S105 - a name
_SETS_KEY = re.compile(r"\s*(export\s+)?SECRET_KEY\s*=")
group = AppGroup("secret", help="Replace the master secret, or the secret of a form.")


def finish() -> Counter[str]:
    """Make nothing depend on the previous secret any more but cookies; commit, and return the numbers of secrets.

    It may run again, also after it was interrupted.
    """
    _keep_derived()
    done: Counter[str] = Counter()
    for batch in encryption.renew():
        db.session.commit()
        done.update(renewed=batch.renewed, unreadable=batch.unreadable)
    db.session.commit()
    return done


@group.command("rotate")
def rotate() -> None:
    """Begin to replace SECRET_KEY; with SECRET_KEY_PREVIOUS set, encrypt what is stored with the new one."""
    if not current_settings().secret_key_previous:
        click.echo(_begin())
        return
    done = finish()
    click.echo(f"{_secrets(done['renewed'])} encrypted with the new SECRET_KEY now; every other one was already.")
    if unreadable := done["unreadable"]:
        click.echo(f"{_secrets(unreadable)} readable with neither key, and left alone.")
    click.echo(
        f"Keep SECRET_KEY_PREVIOUS until {_last_day():%Y-%m-%d}. Then remove its line and restart: every browser that "
        "is still signed in has got new cookies by then."
    )


@group.command("form")
@click.argument("key")
@click.option("--new", is_flag=True, help="Make a new secret; the earlier ones count until they are ended.")
@click.option("--end-earlier", is_flag=True, help="End all secrets of the form but the newest.")
def form_secret(key: str, new: bool, end_earlier: bool) -> None:
    """Replace the secret with which the site of the form KEY proves its users."""
    if new == end_earlier:
        raise click.ClickException("Choose --new or --end-earlier.")
    form = site_forms.find(key)
    if form is None:
        raise click.ClickException("There is no form with this key.")
    click.echo(_replace(form) if new else _end_earlier(form))
    db.session.commit()


def _keep_derived() -> None:
    for form in site_forms.list_all():
        host_users.keep(form)
    made = private_links.keys_made()
    if not made or made[0].made_under != site_secrets.name_of_current_key():
        private_links.add_key()
        audit.record(AuditEvent.SECRET_ROTATED)
    db.session.commit()


def _begin() -> str:
    """Make a new key: put both into the file that `make run` has made if it holds the key, or say where they go."""
    settings = current_settings()
    new = secrets.token_urlsafe(48)
    path = settings.instance_dir / "secrets.env"
    if _SECRET_KEY not in dotenv_values(".env") and dotenv_values(path).get(_SECRET_KEY) == settings.secret_key:
        secret_files.replace(path, _with_both(path.read_text(), new))
        return f"{path} has a new SECRET_KEY, and the old one as SECRET_KEY_PREVIOUS. Restart the site to use it."
    return (
        "In .env, or wherever SECRET_KEY is set, on every machine:\n"
        "  1. Rename SECRET_KEY to SECRET_KEY_PREVIOUS.\n"
        f"  2. Add the new key:\nSECRET_KEY={new}\n"
        f"  3. Restart all web servers and workers.\n  4. Run `{COMMAND} secret rotate` again."
    )


def _with_both(text: str, new: str) -> str:
    lines = [line for line in text.splitlines() if not line.startswith("SECRET_KEY_PREVIOUS=")]
    renamed = [_SETS_KEY.sub("SECRET_KEY_PREVIOUS=", line, count=1) for line in lines]
    return "\n".join([*renamed, f"SECRET_KEY={new}", ""])


def _replace(form: Form) -> str:
    try:
        secret = host_users.replace(form)
    except host_users.TooMany as error:
        raise click.ClickException("The form has many secrets already. End the earlier ones first.") from error
    return (
        f"{secret}\nGive it to the server of the site with the form. Until then, and until you run "
        f"`{COMMAND} secret form {form.key} --end-earlier`, the earlier secret counts, too."
    )


def _end_earlier(form: Form) -> str:
    return f"Ended {_secrets(host_users.end_earlier(form)).removesuffix(' is').removesuffix(' are')}."


def _last_day() -> date:
    """Return the first day without a session that may still have a cookie from before the rotation."""
    return (private_links.keys_made()[0].created_at + LONGEST_REMEMBERED + timedelta(days=1)).date()


def _secrets(number: int) -> str:
    return f"{number} stored {'secret is' if number == 1 else 'secrets are'}"
