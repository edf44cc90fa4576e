"""The command `import`: other programs' messages and subscriptions, as their files have them."""

import base64
import csv
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from flask import Flask

from feedback_push import vapid_formats
from feedback_push.database import db
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push import keys, outbox, tasks
from feedback_push.push.models import Follower, OutboxEntry, Subscription
from feedback_push.webpush import vapid
from tests.conftest import KEYS, make_user
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.push.notes import NOTE
from tests.topics.followed import new_topic

OTHER = vapid.generate()  # the key pair of the other program
WRITTEN = ("The search finds nothing.", "Grace", "grace@example.org", "2026-05-01 09:30:00")


def run(app: Flask, file: Path, *options: str) -> Result:
    """Run the command in a process of its own, as far as the database can tell."""
    db.session.remove()
    return app.test_cli_runner().invoke(args=["import", str(file), *options])


def stored() -> list[tuple[str, str, str, str, MessageState]]:
    db.session.rollback()
    rows = db.session.query(Message).order_by(Message.id)
    return [
        (row.content, row.submitter_name, row.submitter_email, f"{row.created_at:%Y-%m-%d %H:%M:%S}", row.state)
        for row in rows
    ]


def django(folder: Path, devices: list[Device], email: str) -> Path:
    """Make the SQLite database of the tutorial's site, with one message and these devices of one user."""
    with closing(sqlite3.connect(folder / "db.sqlite3")) as database, database:
        database.execute("CREATE TABLE auth_user (id INTEGER, email TEXT)")
        database.execute("CREATE TABLE webpush_subscriptioninfo (id INTEGER, endpoint TEXT, p256dh TEXT, auth TEXT)")
        database.execute("CREATE TABLE webpush_pushinformation (user_id INTEGER, subscription_id INTEGER)")
        database.execute(
            "CREATE TABLE feedback_feedback (id INTEGER, content TEXT, submitter_name TEXT, submitter_email TEXT, "
            "created_at TEXT)"
        )
        database.execute("INSERT INTO auth_user VALUES (7, ?)", [email])
        database.execute("INSERT INTO feedback_feedback VALUES (1, ?, ?, ?, ?)", WRITTEN)
        for number, device in enumerate(devices):
            row = (number, device.endpoint, device.p256dh, device.auth)
            database.execute("INSERT INTO webpush_subscriptioninfo VALUES (?, ?, ?, ?)", row)
            database.execute("INSERT INTO webpush_pushinformation VALUES (7, ?)", [number])
    return folder / "db.sqlite3"


def written(path: Path, data: Any) -> Path:
    path.write_text(json.dumps(data))
    return path


def test_the_tutorials_devices_go_on_receiving_with_their_own_key(
    app: Flask, service: PushService, private_files: None, tmp_path: Path
) -> None:
    make_user("staff@example.org")
    device = service.new_device(OTHER.public_key)
    database = django(tmp_path, [device], "Staff@example.org")
    (tmp_path / "private_key.pem").write_bytes(pem(OTHER.private_key))
    key = ["--vapid-key", str(tmp_path / "private_key.pem")]
    assert "1 messages and 1 devices; 0 were there already" in run(app, database, *key).output
    assert "0 messages and 0 devices; 2 were there already" in run(app, database, *key).output
    assert stored() == [(*WRITTEN, MessageState.READ)]
    assert db.session.query(OutboxEntry).count() == 0
    keyring = keys.load()
    assert keyring.current
    assert keyring.current.public_key == KEYS.public_key
    entry = outbox.enqueue(NOTE)
    db.session.flush()
    entry_id = entry.id
    db.session.commit()
    tasks.fan_out(entry_id)
    tasks.deliver()
    assert len(device.pushes) == 1
    assert service.refusals == []


def test_a_list_of_subscriptions_becomes_the_followers_of_a_topic(
    app: Flask, service: PushService, tmp_path: Path
) -> None:
    new_topic("tricks")
    devices = [service.new_device(OTHER.public_key) for _ in range(3)]
    items = [{"endpoint": each.endpoint, "keys": {"p256dh": each.p256dh, "auth": each.auth}} for each in devices]
    options = ("--topic", "tricks", "--vapid-key", OTHER.private_key)
    nested = written(tmp_path / "nested.json", [{"id": 1, "subscription": items[0]}])
    lines = tmp_path / "lines.json"
    lines.write_text("\n".join(map(json.dumps, items[1:])))
    for file in (nested, lines):
        assert run(app, file, *options).exit_code == 0
    assert db.session.query(Follower).count() == 3
    assert {row.vapid_public_key for row in db.session.query(Subscription)} == {OTHER.public_key}


def test_the_output_of_dumpdata_and_a_csv_file_have_the_same_messages(app: Flask, tmp_path: Path) -> None:
    content, name, email, created = WRITTEN
    fields = {"content": content, "submitter_name": name, "submitter_email": email, "created_at": f"{created}Z"}
    dumped = written(tmp_path / "dump.json", [{"model": "feedback.feedback", "pk": 1, "fields": fields}])
    with (tmp_path / "messages.csv").open("w", newline="") as file:
        table = csv.writer(file, delimiter=";")
        table.writerows([["Date", "Author", "E-Mail", "Comment"], [created, name, email, content]])
        table.writerow(["", "", "", "Two\nlines, without a time"])
    assert "Imported 1 messages" in run(app, dumped).output
    assert "Imported 1 messages and 0 devices; 1 were there" in run(app, tmp_path / "messages.csv").output
    assert "Imported 0 messages and 0 devices; 2 were there" in run(app, tmp_path / "messages.csv").output
    assert [row[0] for row in stored()] == [content, "Two\nlines, without a time"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("nothing.csv", "name,when\nGrace,today\n", "no column with messages"),
        ("time.csv", "content,date\nHello,2026-01-01\nHello,yesterday\n", "line 3: the time is not in ISO 8601"),
        ("future.csv", "content,date\nHello,2999-01-01\n", "line 2: the time is in the future"),
        ("empty.csv", "content,name\n  ,Grace\n", "line 2: the message is empty"),
        ("long.csv", f"content,name\nHello,{'x' * 201}\n", "line 2: submitter_name has more than 200 characters"),
        ("broken.json", '[{"endpoint": ', "neither JSON nor JSON in lines"),
        ("deep.json", "[" * 100_000, "neither JSON nor JSON in lines"),
        ("number.json", "[1]", "not a list of subscriptions"),
        ("foreign.json", '[{"endpoint": "https://example.org/x", "keys": {}}]', "item 1: "),
        ("broken.sqlite3", "SQLite format 3\x00 and nothing else", "as a SQLite database"),
    ],
)
def test_a_file_with_a_wrong_record_is_refused_whole(
    app: Flask, tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    result = run(app, tmp_path / name, "--vapid-key", OTHER.private_key)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output
    assert stored() == []


def test_subscriptions_need_their_key_and_an_owner(app: Flask, service: PushService, tmp_path: Path) -> None:
    database = django(tmp_path, [service.new_device(OTHER.public_key)], "gone@example.org")
    key = ("--vapid-key", OTHER.private_key)
    assert "Name the key" in run(app, database).output
    assert "There is no account nobody@example.org" in run(app, database, *key, "--user", "nobody@example.org").output
    assert "There is no topic tricks" in run(app, database, *key, "--topic", "tricks").output
    wrong = run(app, database, "--vapid-key", "not a key")
    assert "--vapid-key is not a P-256 private key" in wrong.output
    assert stored() == []
    assert "1 messages and 1 subscriptions" in run(app, database, *key, "--dry-run").output
    assert stored() == []
    left = run(app, database, *key)
    assert "1 subscriptions belong to nobody who has an account here" in left.output
    assert db.session.query(Subscription).count() == 0


def test_another_programs_key_is_current_only_where_there_is_no_other(app: Flask) -> None:
    assert keys.add(OTHER.private_key) == keys.add(OTHER.private_key) == OTHER.public_key
    rotated = keys.rotate()
    third = vapid.generate()
    keys.add(third.private_key)
    db.session.commit()
    keyring = keys.load()
    assert keyring.current
    assert keyring.current.public_key == rotated
    assert keyring.live.keys() == {KEYS.public_key, OTHER.public_key, rotated, third.public_key}
    keys.retire({third.public_key})
    keys.add(third.private_key)
    assert third.public_key in keys.load().live


def pem(private_key: str) -> bytes:
    """Return a key as py_vapid writes it."""
    number = int.from_bytes(base64.urlsafe_b64decode(vapid_formats.private_key(private_key) + "="), "big")
    key = ec.derive_private_key(number, ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
