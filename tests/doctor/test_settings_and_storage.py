"""The doctor looks at settings, files and the database, also if they are wrong or missing."""

import json
import os
import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import update

from feedback_push import cli, database, disk
from feedback_push.auth.factor_models import Passkey
from feedback_push.auth.models import User
from feedback_push.backup import runs
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.doctor import examination, report
from feedback_push.doctor.results import Result, State
from feedback_push.push import keys
from tests import preloaded, servers
from tests.doctor.conftest import faults, inside, use
from tests.push.devices import owner
from tests.test_migrations import migrate

KEYS_OF_JSON = {"check", "subject", "state", "text", "fix"}
SECRET = "an invalid key that nobody may see"


def flask(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return preloaded.run(["flask", "--app", "wsgi", *words], environment={**os.environ, **environment})


def states(told: str) -> dict[str, set[str]]:
    lines = json.loads(told)["checks"]
    assert all(line.keys() == KEYS_OF_JSON for line in lines)
    return {line["check"]: {each["state"] for each in lines if each["check"] == line["check"]} for line in lines}


@pytest.mark.server
def test_without_settings_or_a_database_only_their_lines_are_wrong(tmp_path: Path) -> None:
    broker = {"REDIS_URL": "redis://127.0.0.1:1/0", "PORT": str(servers.free_port())}
    nothing = flask({"INSTANCE_DIR": str(tmp_path / "none"), **broker}, "doctor", "--json")
    assert (nothing.returncode, nothing.stderr) == (1, "")
    found = states(nothing.stdout)
    expected = {"settings", "disk", "database", "broker", "site"}
    assert {name for name, each in found.items() if each == {"wrong"}} == expected
    assert found["migrations"] == found["devices"] == found["clock"] == {"skipped"}
    assert not (tmp_path / "none").exists()
    (tmp_path / "secrets.env").write_text("")
    (tmp_path / "secrets.env").chmod(0o644)
    tmp_path.chmod(0o755)
    wrong = {"INSTANCE_DIR": str(tmp_path), "DATABASE_URL": f"mysql://ada:{SECRET}@host/x", "SITE_URL": "nonsense"}
    told = flask({**wrong, **broker, "SECRET_KEY": "short", "VAPID_PRIVATE_KEY": SECRET}, "doctor")
    assert (told.returncode, told.stderr) == (1, "")
    assert SECRET not in told.stdout
    for name in ("DATABASE_URL", "SITE_URL", "SECRET_KEY", "VAPID_PRIVATE_KEY"):
        assert f"WRONG  Settings {name}: " in told.stdout
    assert f"→ Run: chmod 600 {tmp_path}/secrets.env" in told.stdout
    assert "Database: Not checked, because of the setting DATABASE_URL." in told.stdout


def test_no_secret_is_printed(app: Flask, settings: Settings) -> None:
    told = app.test_cli_runner().invoke(args=["doctor", "--json"])
    assert told.exit_code == 1
    assert states(told.stdout)["settings"] == states(told.stdout)["site"] == {"ok"}
    for secret in (settings.secret_key, settings.vapid_private_key):
        assert secret not in told.output


def test_any_other_command_needs_valid_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_RUN_FROM_CLI", "true")
    for words, is_run in (
        ("flask --app wsgi doctor --json", True),
        ("feedback-push restore backup", True),
        ("flask -A doctor user list", False),
        ("feedback-push user create doctor", False),
        ("feedback-push", False),
    ):
        monkeypatch.setattr("sys.argv", words.split())
        assert cli.runs_with_invalid_settings() is is_run, words


def test_each_fault_of_a_setting_is_found(app: Flask) -> None:
    def lines(**changes: Any) -> list[Result]:
        use(app, **changes)
        return examination.inside()

    assert faults(lines()) == ["workers", "devices"]
    assert "secret" in faults(lines(secret_key="aaaaaaaaaaaaaaaaaaaa"))
    assert "vapid_subject" in faults(lines(vapid_subject=""))
    assert "secure_context" in faults(lines(site_url="http://feedback.example.org"))
    assert "secure_context" not in faults(lines(site_url="https://feedback.example.org"))
    free = disk.free_mb()
    assert free
    assert "disk" in faults(lines(min_free_disk_mb=free))


def test_a_database_that_does_not_answer_is_one_fault(app: Flask, tmp_path: Path) -> None:
    db.session.remove()
    db.engine.dispose()
    (tmp_path / "test.sqlite").write_bytes(b"no database at all" * 100)
    (tmp_path / "test.sqlite-wal").unlink(missing_ok=True)
    assert faults(examination.inside()) == ["database"]
    (tmp_path / "test.sqlite").unlink()
    assert faults(examination.inside()) == ["database"]
    assert not (tmp_path / "test.sqlite").exists()


def test_a_schema_that_is_older_or_newer_is_a_fault(any_app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    scripts = Config()
    scripts.set_main_option("script_location", str(database.MIGRATIONS))
    assert database.revisions()[-1] == ScriptDirectory.from_config(scripts).get_current_head()
    assert inside("migrations")[0].state == State.OK
    known = database.revisions()
    monkeypatch.setattr(database, "revisions", lambda: known[:-1])
    assert "Install the newest version" in inside("migrations")[0].fix
    monkeypatch.undo()
    for older in ("0025", "base"):
        assert migrate(any_app, "downgrade", older)
        assert faults(examination.inside()) == ["migrations"]
    database.upgrade(any_app)


def test_the_vapid_keys_have_to_be_there_and_readable(app: Flask) -> None:
    assert inside("vapid_keys")[0].state == State.OK
    ours = app.extensions["settings"]
    use(app, vapid_private_key="", vapid_public_key="")
    assert "vapid generate" in inside("vapid_keys")[0].fix
    app.extensions["settings"] = ours
    keys.rotate()
    db.session.commit()
    use(app, secret_key="a secret that was changed")
    assert "SECRET_KEY has changed" in inside("vapid_keys")[0].text


def test_passkeys_of_another_host_name_are_a_fault(app: Flask) -> None:
    assert inside("passkeys")[0].state == State.OK
    own = {"name": "Phone", "host": "old.example.org", "credential_id": "x", "public_key": b"", "user_handle": "x"}
    db.session.add(Passkey(user_id=owner().id, sign_count=0, transports="", **own))
    db.session.commit()
    [found] = inside("passkeys")
    assert (found.state, found.subject) == (State.WRONG, "old.example.org")
    assert "--without-second-factor" in found.fix
    use(app, site_url="https://old.example.org")
    assert inside("passkeys")[0].state == State.OK


def test_an_old_backup_is_a_fault_but_a_new_site_has_a_week(any_app: Flask) -> None:
    owner()
    assert inside("backup")[0].state == State.OK
    db.session.execute(update(User).values(created_at=utcnow() - timedelta(days=8)))
    db.session.commit()
    assert faults(inside("backup")) == ["backup"]
    runs.record(1000, encrypted=True)
    db.session.commit()
    assert inside("backup")[0].state == State.OK
    db.session.execute(update(runs.BackupRun).values(finished_at=utcnow() - timedelta(days=9)))
    db.session.commit()
    assert "1 week ago" in inside("backup")[0].text
    assert faults(inside("backup")) == ["backup"]
    use(any_app, backup_max_age_days=0)
    assert inside("backup")[0].state == State.OK


def test_every_check_has_a_name_for_people(app: Flask) -> None:
    results = [*examination.inside(), *examination.outside()]
    assert all(report.title(result.check) for result in results)
    assert len({result.check for result in results}) == 23
