"""A backup that is made while the site runs brings everything back on an empty machine, or changes nothing."""

import os
import stat
import threading
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import func, select, text

from feedback_push import create_app, database
from feedback_push.backup import age, backups, runs
from feedback_push.backup.errors import BackupError
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from feedback_push.push import heartbeats, keys, outbox
from feedback_push.push.models import OutboxEntry
from feedback_push.topics.models import Topic
from tests import preloaded
from tests.databases import Databases
from tests.doubles.push_service import PushService
from tests.feedback.messages import receive
from tests.program import Program
from tests.push.devices import owner, subscribe
from tests.push.notes import note
from tests.test_migrations import migrate
from tests.topics.followed import new_topic

PASSPHRASE = "correct horse battery staple"
SIZE = 1024 * 1024


@pytest.fixture
def machine(settings: Settings, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Settings]:
    """The settings of a machine with an empty instance folder and a database of the same kind that does not exist."""
    folder = tmp_path / "another-machine"
    if settings.database_url.startswith("sqlite"):
        yield replace(settings, database_url=f"sqlite:///{folder}/feedback_push.sqlite", instance_dir=folder)
        return
    databases: Databases = request.getfixturevalue("postgresql")
    name = f"restored_{uuid4().hex[:8]}"
    databases.administer("CREATE DATABASE {}", name)
    yield replace(settings, database_url=f"{settings.database_url.rpartition('/')[0]}/{name}", instance_dir=folder)
    databases.administer("DROP DATABASE {} WITH (FORCE)", name)


@contextmanager
def at(settings: Settings) -> Iterator[Flask]:
    """Be on the machine with these settings."""
    app = create_app(settings)
    with app.app_context():
        yield app
        db.session.remove()
        db.engine.dispose()


def restored(file: Path, passphrase: str = "", *, replace: bool = False) -> None:
    backups.restore(file, passphrase, replace=replace)


def everything() -> dict[str, list[tuple[object, ...]]]:
    """All rows, by table; the order of a heap is of no interest."""
    db.session.rollback()
    return {
        table.name: sorted(map(tuple, db.session.execute(table.select())), key=repr)
        for table in db.metadata.sorted_tables
    }


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :]


def test_a_backup_restored_on_an_empty_machine_reaches_the_old_device(
    any_app: Flask, machine: Settings, service: PushService, own_redis_url: str, tmp_path: Path
) -> None:
    # The key is in the database, encrypted with SECRET_KEY, so both have to come along.
    public_key = keys.rotate()
    device = service.new_device(public_key)
    subscribe(owner(), device, public_key)
    new_topic(icon=b"\x89PNG\r\n", icon_type="image/png")
    receive(content="An old message")
    db.session.execute(text("UPDATE push_outbox SET fanned_out_at = created_at"))
    db.session.commit()
    before = everything()
    file = tmp_path / "site.backup"
    done = any_app.test_cli_runner().invoke(args=["backup", str(file), "--passphrase-stdin"], input=f"{PASSPHRASE}\n")
    assert (done.exit_code, "encrypted." in done.output) == (0, True), done.output
    assert b"An old message" not in file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    # Nothing else is set there: not even a secret key.
    own = {
        "INSTANCE_DIR": str(machine.instance_dir),
        "DATABASE_URL": machine.database_url,
        "SITE_URL": machine.site_url,
    }
    command = ["flask", "--app", "wsgi", "restore", str(file), "--passphrase-stdin"]
    restoration = preloaded.run(command, environment={**os.environ, **own}, typed=PASSPHRASE)
    assert (restoration.returncode, restoration.stderr) == (0, ""), restoration.stderr
    secrets = machine.instance_dir / "secrets.env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    assert {path.name.partition(".")[0] for path in machine.instance_dir.iterdir()} <= {"secrets", "feedback_push"}
    with at(machine):
        assert everything() == before
        outbox.enqueue(note(tag="after-the-move"))
        db.session.commit()
    services = {"PUSH_ALLOWED_HOSTS": "127.0.0.1", "PUSH_ALLOW_PRIVATE_ADDRESSES": "true", "REDIS_URL": own_redis_url}
    command = ["celery", "-A", "celery_worker", "worker", "--pool", "threads", "--without-mingle"]
    with Program(command, tmp_path / "worker.log", own | services, is_preloaded=True) as worker:
        try:
            assert len(device.wait(1, timeout=90)) == 1
        except TimeoutError:
            pytest.fail(worker.log)


def test_a_backup_is_of_one_moment_while_others_write(any_app: Flask, machine: Settings, tmp_path: Path) -> None:
    stopping = threading.Event()

    def write_on() -> None:
        with any_app.app_context():
            while not stopping.is_set():
                receive()  # a message and its notification, in one transaction
            db.session.remove()

    receive()
    writers = [threading.Thread(target=write_on) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        backups.make(tmp_path / "site.backup", "")
    finally:
        stopping.set()
        for writer in writers:
            writer.join()
    with at(machine):
        restored(tmp_path / "site.backup")
        messages = db.session.scalar(select(func.count()).select_from(Message)) or 0
        assert messages >= 1
        assert db.session.scalar(select(func.count()).select_from(OutboxEntry)) == messages
        newest = db.session.scalar(select(func.max(Message.id))) or 0
        assert receive().id > newest  # no id is given twice


def test_a_backup_of_an_older_schema_is_upgraded(any_app: Flask, machine: Settings, tmp_path: Path) -> None:
    kept = receive(content="From before").id
    assert migrate(any_app, "downgrade", "0025")
    backups.make(tmp_path / "site.backup", "")
    with at(machine) as app:
        restored(tmp_path / "site.backup")
        assert db.session.get_one(Message, kept).content == "From before"
        assert heartbeats.workers() == []
        assert migrate(app, "check")
    database.upgrade(any_app)


def test_existing_data_is_replaced_only_if_told_so(any_app: Flask, tmp_path: Path) -> None:
    receive(content="In the backup")
    heartbeats.beat("celery@then")
    db.session.commit()
    backups.make(tmp_path / "site.backup", "")
    heartbeats.end("celery@then")
    receive(content="Since then")
    now = everything()
    with pytest.raises(BackupError, match="--replace"):
        restored(tmp_path / "site.backup")
    heartbeats.beat("celery@here")
    db.session.commit()
    with pytest.raises(BackupError, match=r"celery@here was alive.*Stop the web server"):
        restored(tmp_path / "site.backup", replace=True)
    heartbeats.end("celery@here")
    db.session.commit()
    assert everything() == now
    restored(tmp_path / "site.backup", replace=True)
    assert db.session.scalars(select(Message.content)).all() == ["In the backup"]
    assert heartbeats.workers() == []  # those of the backup do not run here
    assert "SECRET_KEY='a secret for tests only'" in (tmp_path / "secrets.env").read_text()


def test_what_is_damaged_or_of_another_passphrase_changes_nothing(
    app: Flask, machine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age, "_WORK_FACTOR", 10)
    receive(content="Hello " * 1000)
    plain, secret = tmp_path / "plain.backup", tmp_path / "secret.backup"
    backups.make(plain, "")
    backups.make(secret, PASSPHRASE)
    faults: list[tuple[bytes, str]] = [(secret.read_bytes(), ""), (secret.read_bytes(), "another passphrase")]
    for file, passphrase in ((plain, ""), (secret, PASSPHRASE)):
        whole = file.read_bytes()
        middle, end = len(whole) // 2, len(whole) - 1
        faults += [(whole[:length], passphrase) for length in (0, 1, 30, middle, end)]
        faults += [(flipped(whole, place), passphrase) for place in (1, middle, end - 6)]
    faults += [(b"SQLite format 3\0" * 100, ""), (b"\x1f\x8b" + b"\0" * 1000, "")]
    with at(machine):
        for content, passphrase in faults:
            (tmp_path / "damaged").write_bytes(content)
            with pytest.raises(BackupError) as refused:
                restored(tmp_path / "damaged", passphrase)
            assert str(refused.value).endswith(".")
            assert list(machine.instance_dir.iterdir()) == []
        restored(secret, PASSPHRASE)
        assert db.session.scalar(select(func.count()).select_from(Message)) == 1


def test_a_backup_that_cannot_be_used_here_says_why(
    app: Flask, machine: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive()
    file = tmp_path / "site.backup"
    backups.make(file, "")
    elsewhere = replace(machine, database_url="postgresql+psycopg://127.0.0.1:1/x")
    with at(elsewhere), pytest.raises(BackupError, match="is of a sqlite database"):
        restored(file)
    with at(replace(machine, secret_key="another secret of this machine")):
        monkeypatch.setenv("SECRET_KEY", "another secret of this machine")
        with pytest.raises(BackupError, match=r"has other values than the backup.*SECRET_KEY"):
            restored(file)
        monkeypatch.delenv("SECRET_KEY")
        (machine.instance_dir / "secrets.env").write_text("SECRET_KEY='another secret of this machine'\n")
        with pytest.raises(BackupError, match=r"secrets.env has other keys.*--replace"):
            restored(file)
        assert [path.name for path in machine.instance_dir.iterdir()] == ["secrets.env"]
    monkeypatch.setattr(database, "revisions", lambda: ["0001"])
    with at(machine), pytest.raises(BackupError, match="newer than this one"):
        restored(file, replace=True)


def test_a_backup_that_cannot_be_written_leaves_the_one_before(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "backups" / "site.backup"
    with pytest.raises(BackupError, match="cannot be written to"):
        backups.make(file, "")
    file.parent.mkdir()
    file.write_bytes(b"the one before")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(BackupError, match="No space left"):
        backups.make(file, "")
    assert [path.read_bytes() for path in file.parent.iterdir()] == [b"the one before"]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".backup")]


def test_the_logo_and_a_secret_that_is_being_replaced_come_along(
    app: Flask, machine: Settings, settings: Settings, tmp_path: Path
) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + b"x" * 100
    (tmp_path / "ours.png").write_bytes(picture)
    previous = "the secret before this one"
    with at(replace(settings, site_logo=str(tmp_path / "ours.png"), secret_key_previous=previous)):
        backups.make(tmp_path / "site.backup", "")
    with at(machine):
        restored(tmp_path / "site.backup")
    assert (machine.instance_dir / "logo.png").read_bytes() == picture
    stored = (machine.instance_dir / "secrets.env").read_text()
    assert f"SITE_LOGO='{machine.instance_dir}/logo.png'" in stored
    assert f"SECRET_KEY_PREVIOUS='{previous}'" in stored


@pytest.mark.slow
def test_a_large_database_takes_little_memory(any_app: Flask, machine: Settings, tmp_path: Path) -> None:
    for number in range(16):
        new_topic(f"topic-{number}", icon=os.urandom(SIZE), icon_type="image/png")
    db.session.expire_all()
    tracemalloc.start()
    try:
        backups.make(tmp_path / "site.backup", "")
        with at(machine):
            restored(tmp_path / "site.backup")
            assert db.session.scalar(select(func.count()).select_from(Topic)) == 16
        assert tracemalloc.get_traced_memory()[1] < 8 * SIZE
    finally:
        tracemalloc.stop()


def test_the_command_records_the_backup_and_takes_no_short_passphrase(app: Flask, tmp_path: Path) -> None:
    runner = app.test_cli_runner()
    short = runner.invoke(args=["backup", str(tmp_path / "site.backup"), "--passphrase-stdin"], input="short\n")
    assert (short.exit_code, "at least 12 characters" in short.output) == (1, True)
    assert runs.last() is None
    for _ in range(22):
        runs.record(1, encrypted=True)
        db.session.commit()
    done = runner.invoke(args=["backup", str(tmp_path / "site.backup")])
    assert "not encrypted" in done.output
    newest = runs.last()
    assert newest
    assert (newest.encrypted, newest.size) == (False, (tmp_path / "site.backup").stat().st_size)
    assert utcnow() > newest.finished_at
    assert db.session.scalar(select(func.count()).select_from(runs.BackupRun)) == 20
