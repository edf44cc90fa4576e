"""Create the secrets, the newest schema and an administrator on the first start; later starts keep them."""

import secrets
from pathlib import Path

from environs import Env
from sqlalchemy.exc import DBAPIError

from feedback_push import config, create_app, database, secret_files, secret_rotation
from feedback_push.auth import accounts, sign_in_links
from feedback_push.standalone.terminal import say
from feedback_push.webpush import vapid

_HEADER = """\
# Created by the first start; each start adds missing values and changes nothing else. The environment and .env take
# precedence.
# Anybody who can read this file can sign in as any user and send notifications in the name of this site.
"""


def main() -> int:
    """Prepare everything, print the first administrator's sign-in and return an exit code; runs in its own process."""
    env = config.source()
    path = config.instance_dir(env) / "secrets.env"
    try:
        keep_secrets(env, path)
    except OSError as error:
        say(f"Cannot store the secrets in {path}: {error.strerror}.", error=True)
        return 1
    try:
        app = create_app(config.load())
        database.upgrade(app)
        with app.app_context():
            finish_rotation()
            create_first_administrator(env.str("ADMIN_EMAIL", "admin@localhost"), env.str("ADMIN_PASSWORD", ""))
    except config.ConfigError as error:
        say(error, error=True)
        return 2
    except DBAPIError as error:
        say(f"Cannot use the database: {error.orig} See DATABASE_URL.", error=True)
        return 1
    except accounts.AccountError as error:
        say(f"Cannot create the first administrator: {error} See ADMIN_EMAIL and ADMIN_PASSWORD.", error=True)
        return 1
    return 0


def keep_secrets(env: Env, path: Path) -> None:
    """Add missing secrets to a file that only its owner can read; a secret that is set to nothing is not missing."""
    missing = _missing_secrets(env)
    if missing:
        kept = path.read_text() if path.exists() else _HEADER
        separator = "" if kept.endswith("\n") else "\n"
        secret_files.replace(path, kept + separator + "".join(f"{name}={value}\n" for name, value in missing.items()))


def create_first_administrator(email: str, given_password: str) -> None:
    """Create an administrator if there is none, and print a generated password and a sign-in link.

    Only hashes of the two are stored.
    """
    if accounts.exist():
        return
    password = given_password or secrets.token_urlsafe(12)
    user = accounts.create(email, password)
    link = sign_in_links.make(user)
    database.db.session.commit()
    shown = "the one in ADMIN_PASSWORD" if given_password else f"{password}   (shown only this once)"
    say(
        f"The first administrator\n  E-mail    {user.email}\n  Password  {shown}\n"
        f"  Sign in   {link}   (works once, within 10 minutes)"
    )


def finish_rotation() -> None:
    """Encrypt the stored secrets with the new SECRET_KEY if `secret rotate` has made one since the last start."""
    if config.current_settings().secret_key_previous and (renewed := secret_rotation.finish()["renewed"]):
        say(f"Encrypted {renewed} stored secrets with the new SECRET_KEY.")


def _missing_secrets(env: Env) -> dict[str, str]:
    found: dict[str, str] = {}
    if env.str("SECRET_KEY", None) is None:
        found["SECRET_KEY"] = secrets.token_urlsafe(48)
    if env.str("VAPID_PRIVATE_KEY", None) is None and env.str("VAPID_PUBLIC_KEY", None) is None:
        keys = vapid.generate()
        found |= {"VAPID_PRIVATE_KEY": keys.private_key, "VAPID_PUBLIC_KEY": keys.public_key}
    return found
