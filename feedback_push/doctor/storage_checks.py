"""Check the database, its schema, the disk, the stored keys and the age of the newest backup."""

from datetime import datetime, timedelta

from flask_babel import gettext
from sqlalchemy import select, text

from feedback_push import database, disk, language, secret_files
from feedback_push.auth import passkeys as auth_passkeys
from feedback_push.auth.models import User
from feedback_push.backup import runs
from feedback_push.config import current_settings
from feedback_push.database import DATABASE_ERRORS, db, utcnow
from feedback_push.disk import Space
from feedback_push.doctor.results import Result, command, ok, wrong
from feedback_push.push import keys


def is_there() -> Result:
    """Check that the database answers; do not create a SQLite file that is missing."""
    path = secret_files.sqlite_file(current_settings().database_url)
    if path and not path.is_file():
        return wrong(
            "database",
            gettext("The file of the database does not exist: %(path)s", path=path),
            gettext("Run: %(command)s, or restore a backup.", command=command("db upgrade")),
        )
    try:
        db.session.execute(text("SELECT 1 FROM sqlite_master" if path else "SELECT 1"))
    except DATABASE_ERRORS:
        fix = gettext("Start the database server, and check the address and the password in DATABASE_URL.")
        if path:
            fix = gettext(
                "Let the user of this program read and write the file and its folder, or restore a backup: %(command)s",
                command=command("restore FILE --replace"),
            )
        return wrong("database", gettext("The database does not answer, or cannot be read."), fix)
    finally:
        db.session.rollback()
    return ok("database", "SQLite" if path else "PostgreSQL")


def migrations() -> Result:
    """Check that the schema is the one of this version."""
    newest = database.revisions()[-1]
    try:
        found = str(db.session.scalar(text("SELECT version_num FROM alembic_version")) or "")
    except DATABASE_ERRORS:
        found = ""
    finally:
        db.session.rollback()
    if found == newest:
        return ok("migrations", gettext("The schema is up to date (%(revision)s).", revision=found))
    if found > newest:
        return wrong(
            "migrations",
            gettext("The database belongs to a newer version of this program (%(revision)s).", revision=found),
            gettext("Install the newest version."),
        )
    return wrong(
        "migrations",
        gettext("The schema is not up to date: it needs the migrations up to %(revision)s.", revision=newest),
        gettext("Run: %(command)s, then restart the web server and the workers.", command=command("db upgrade")),
    )


def disk_space() -> Result:
    """Check the free space on the disk that takes the messages."""
    free = disk.free_mb()
    if free is None:
        return wrong(
            "disk",
            gettext("The free space cannot be read."),
            gettext("Create the folder %(folder)s.", folder=current_settings().instance_dir),
        )
    if disk.space() == Space.PLENTY:
        return ok("disk", gettext("%(free)d MB are free.", free=free))
    return wrong(
        "disk",
        gettext("Only %(free)d MB are free.", free=free),
        gettext("Delete other files, or let old data go: RETAIN_MESSAGES_DAYS and RETAIN_DELIVERIES_DAYS."),
    )


def vapid_keys() -> Result:
    """Check that there is a key to sign with, and that every stored key can be decrypted."""
    keyring = keys.load()
    if keyring.unreadable:
        return wrong(
            "vapid_keys",
            gettext("A stored VAPID key cannot be read, because SECRET_KEY has changed."),
            gettext(
                "Set the previous SECRET_KEY again. If it is lost, run: %(rotate)s, then: %(retire)s, and open the "
                "dashboard once on each device.",
                rotate=command("vapid rotate"),
                retire=command("vapid retire"),
            ),
        )
    if keyring.current is None:
        return wrong(
            "vapid_keys",
            gettext("Push is off, because there is no VAPID key."),
            gettext("Run: %(command)s, and put its two lines into .env.", command=command("vapid generate")),
        )
    return ok("vapid_keys", gettext("The current key is %(key)s…", key=keyring.current.public_key[:12]))


def passkeys() -> Result | list[Result]:
    """Check that every passkey belongs to the host name of the site."""
    others, host = auth_passkeys.of_other_hosts(), current_settings().site_host
    if not others:
        return ok("passkeys", gettext("Every passkey belongs to the host name of the site."))
    text = gettext("Passkeys of another host name do not work at %(host)s.", host=host)
    fix = gettext(
        "Set SITE_URL to that host name again, or add new passkeys. An administrator who cannot sign in any more "
        "needs: %(command)s",
        command=command("user sign-in-link EMAIL --without-second-factor"),
    )
    return [wrong("passkeys", text, fix, other) for other in others]


def backup() -> Result:
    """Check the age of the newest backup; a new site has a while to make its first one."""
    most, last = current_settings().backup_max_age_days, runs.last()
    if not most:
        return ok("backup", gettext("Not watched, because BACKUP_MAX_AGE_DAYS is 0."))
    fix = gettext("Run: %(command)s every day, for example from cron.", command=command("backup FILE"))
    latest = utcnow() - timedelta(days=most)
    if last is None and _is_older(latest):
        return wrong("backup", gettext("There is no backup."), fix)
    if last is None:
        return ok("backup", gettext("There is no backup yet."))
    when = gettext("The newest backup was made %(when)s.", when=language.ago(last.finished_at))
    return ok("backup", when) if last.finished_at > latest else wrong("backup", when, fix)


def _is_older(latest: datetime) -> bool:
    return db.session.scalar(select(User.id).where(User.created_at < latest).limit(1)) is not None
