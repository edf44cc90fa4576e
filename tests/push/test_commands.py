"""commands.py: the operator's commands about VAPID keys and devices."""

import os
import subprocess
from pathlib import Path

import click
import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.push import keys
from feedback_push.push.models import DeviceState, Subscription
from feedback_push.vapid_validators import vapid_private_key, vapid_public_key
from tests import preloaded
from tests.conftest import KEYS
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce
from tests.test_cli import run, succeeds


def test_a_key_pair_is_printed_for_the_settings_and_written_nowhere(
    app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    pair = dict(line.split("=", 1) for line in succeeds(app, "vapid", "generate").splitlines())
    assert list(pair) == ["VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY"]
    private_key = vapid_private_key(pair["VAPID_PRIVATE_KEY"], pair["VAPID_PUBLIC_KEY"])
    assert vapid_public_key(pair["VAPID_PUBLIC_KEY"], private_key) == pair["VAPID_PUBLIC_KEY"]
    assert private_key != KEYS.private_key
    assert list(Path.cwd().iterdir()) == []


def flask(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Return the command in a shell without other variables."""
    environment = {"PATH": os.environ["PATH"], **settings}
    return preloaded.run(["flask", "--app", "wsgi", *words], environment=environment)


def test_a_key_pair_can_be_made_before_there_are_any_settings(tmp_path: Path) -> None:
    made = flask("vapid", "generate", INSTANCE_DIR=str(tmp_path), PUSH_TTL="nonsense")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("VAPID_PRIVATE_KEY=")
    assert list(tmp_path.iterdir()) == []
    refused = flask("vapid", "list", INSTANCE_DIR=str(tmp_path))
    assert refused.returncode != 0
    assert "SECRET_KEY" in refused.stderr


def test_the_list_says_of_each_key_how_it_is_used(app: Flask) -> None:
    assert succeeds(app, "vapid", "list") == f"{KEYS.public_key}  from the settings  current, 0 devices\n"
    unreachable_devices(owner(), 1)
    told = succeeds(app, "vapid", "rotate")
    assert told.startswith("The new key is ")
    lines = succeeds(app, "vapid", "list").splitlines()
    assert [line.split("  ")[0] for line in lines] == list(keys.cached().live)
    assert [line.split("  ")[2] for line in lines] == ["still used, 1 device", "current, 0 devices"]
    succeeds(app, "vapid", "retire", "--yes")
    lines = succeeds(app, "vapid", "list").splitlines()
    assert [line.split("  ")[2] for line in lines] == ["retired, 0 devices", "current, 0 devices"]


def test_nobody_waits_for_whoever_thinks_about_retiring_a_key(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    def agrees(*_: object, **__: object) -> bool:
        assert not db.session().in_transaction()  # on SQLite no visitor could write
        return True

    unreachable_devices(owner(), 1)
    succeeds(any_app, "vapid", "rotate")
    monkeypatch.setattr(click, "confirm", agrees)
    assert succeeds(any_app, "vapid", "retire").endswith("Retired 1 old key.\n")


def test_a_rotation_needs_a_contact(app: Flask) -> None:
    object.__setattr__(app.extensions["settings"], "vapid_subject", "")
    ended = run(app, "vapid", "rotate")
    assert (ended.exit_code, ended.output) == (
        1,
        "Error: Set VAPID_SUBJECT first. It is the contact for push services.\n",
    )
    assert keys.list_all() == []


def test_retiring_says_who_would_be_lost_and_asks(app: Flask) -> None:
    unreachable_devices(owner(), 1)
    succeeds(app, "vapid", "rotate")
    ended = run(app, "vapid", "retire", typed="n\n")
    assert ended.exit_code == 1
    assert "Until they open the dashboard again, 1 device will get no notifications:" in ended.output
    assert "  owner@example.org  Browser  last seen 20" in ended.output
    assert len(keys.cached().live) == 2
    db.session.rollback()
    succeeds(app, "vapid", "retire", typed="y\n")
    assert len(keys.cached().live) == 1


def test_when_every_device_has_moved_nobody_is_lost(app: Flask) -> None:
    assert succeeds(app, "vapid", "retire") == "There is no old key.\n"
    unreachable_devices(owner(), 1, DeviceState.GONE)
    succeeds(app, "vapid", "rotate")
    assert "Every device uses the current key." in succeeds(app, "vapid", "retire", "--yes")
    assert succeeds(app, "vapid", "retire") == "There is no old key.\n"


def test_devices_that_are_gone_are_removed_when_the_operator_says_so(app: Flask) -> None:
    user = owner()
    unreachable_devices(user, 2, DeviceState.GONE)
    kept = unreachable_devices(user, 1)
    db.session.query(Subscription).filter_by(state=DeviceState.GONE).update({"gone_at": utcnow()})
    db.session.commit()
    announce()
    assert succeeds(app, "push", "prune") == "Removed 2 devices with their deliveries.\n"
    assert succeeds(app, "push", "prune") == "Removed 0 devices with their deliveries.\n"
    assert [row.id for row in db.session.query(Subscription)] == kept
