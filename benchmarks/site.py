"""Make a site to measure: settings, a fresh database with the newest schema, and one administrator."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import redis
from flask import Flask

from benchmarks import rows
from benchmarks.rows import Reader
from benchmarks.stage import Stage
from feedback_push import create_app, database
from feedback_push.auth import accounts
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.notification_validators import NO_BURST
from tests import servers
from tests.environment import environment_of

Kind = Literal["SQLite", "PostgreSQL"]
KINDS: tuple[Kind, ...] = ("SQLite", "PostgreSQL")
EMAIL = "staff@example.org"
PASSWORD = "correct horse battery"  # noqa: S105 - of a site that exists for seconds


@dataclass(frozen=True)
class Site:
    """The application and its database; `reader` reads the same database without the application."""

    settings: Settings
    app: Flask
    reader: Reader


@contextmanager
def made(stage: Stage, kind: Kind, *, embedded_broker: bool = False) -> Iterator[Site]:
    """Make a site in a new database; `launcher` runs the embedded broker, if it has one."""
    folder = stage.new_folder("site")
    with rows.fresh_database(stage, kind, folder) as url:
        settings = settings_of(stage, folder, url, embedded_broker=embedded_broker)
        if settings.redis_url:
            redis.Redis.from_url(settings.redis_url).flushdb()
        app = create_app(settings)
        database.upgrade(app)
        with app.app_context():
            db.engine.dispose()  # on PostgreSQL the connection that ran the migrations still holds their lock
            accounts.create(EMAIL, PASSWORD)
            db.session.commit()
        reader = Reader(url)
        try:
            yield Site(settings, app, reader)
        finally:
            reader.close()
            with app.app_context():
                db.engine.dispose()


def settings_of(stage: Stage, folder: Path, database_url: str, *, embedded_broker: bool = False) -> Settings:
    """Return the settings of a small site, with a push service on loopback and without rate limits."""
    port = servers.free_port()
    return Settings(
        site_url=f"http://127.0.0.1:{port}",
        secret_key="a secret for benchmarks only",  # noqa: S106
        database_url=database_url,
        redis_url="" if embedded_broker else stage.redis_url,
        vapid_private_key=stage.keys.private_key,
        vapid_public_key=stage.keys.public_key,
        vapid_subject="mailto:staff@example.org",
        push_allowed_hosts=("127.0.0.1", "localhost"),
        push_allow_private_addresses=True,
        instance_dir=folder,
        ratelimit_enabled=False,
        notification_burst=NO_BURST,
        port=port,
    )


def environment(stage: Stage, settings: Settings) -> dict[str, str]:
    """Return the same settings as environment variables for another process that must trust our push service."""
    others = {"ADMIN_EMAIL": EMAIL, "ADMIN_PASSWORD": PASSWORD, "FORM_DEFENCE": "off"}
    return environment_of(settings) | others | {"SSL_CERT_FILE": str(stage.service.ca_file)}
