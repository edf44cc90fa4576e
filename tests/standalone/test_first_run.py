"""feedback_push/standalone/first_run.py; tests/standalone/test_make_run.py runs it in the launcher."""

import errno
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from argon2 import PasswordHasher
from flask import Flask

from feedback_push import config, create_app
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.standalone import first_run

OURS = {"SECRET_KEY", "SECRET_KEY_PREVIOUS", "VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY"}
MADE = re.compile(r"  E-mail    (\S+)\n  Password  (\S+)   \(shown only this once\)\n")

LINK = re.compile(r"  Sign in   (\S+)#(\S+)   \(works once, within 10 minutes\)\n")
DATABASE = "feedback_push.sqlite"


class Start(NamedTuple):
    """A first start that has ended."""

    returncode: int
    stdout: str
    stderr: str


class Prepare(Protocol):
    """Run the first start with these variables."""

    def __call__(self, **environment: str) -> Start: ...


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_files: None) -> None:
    for name in [
        *OURS,
        "VAPID_SUBJECT",
        "SITE_URL",
        "ADMIN_EMAIL",
        "ADMIN_PASSWORD",
        "DATABASE_URL",
        "REDIS_URL",
    ]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("INSTANCE_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def secrets_file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.env"


def written(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return dict(line.split("=", 1) for line in lines if not line.startswith("#"))


def keep_secrets(path: Path) -> dict[str, str]:
    first_run.keep_secrets(config.source(), path)
    return written(path)


@pytest.fixture
def migrated(migrated_sqlite: Path, tmp_path: Path) -> None:
    """Give the site its database, because the migrations take longer than the rest of a first start."""
    shutil.copy(migrated_sqlite, tmp_path / DATABASE)


@pytest.fixture
def prepare(capsys: pytest.CaptureFixture[str]) -> Iterator[Prepare]:
    """Yield a function that runs the first start with these variables; it returns the exit code and what was said."""
    made: list[Flask] = []

    def make(settings: Settings) -> Flask:
        made.append(create_app(settings))
        return made[-1]

    def run(**environment: str) -> Start:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(first_run, "create_app", make)
            for name, value in environment.items():
                patch.setenv(name, value)
            code = first_run.main()
        return Start(code, *capsys.readouterr())

    yield run
    for app in made:
        with app.app_context():
            db.engine.dispose()


def accounts(folder: Path) -> list[tuple[str, str]]:
    [path] = folder.glob("*.sqlite")
    connection = sqlite3.connect(path)
    try:
        return connection.execute("SELECT email, password_hash FROM auth_user").fetchall()
    finally:
        connection.close()


def test_the_secrets_are_usable_settings_that_only_the_owner_can_read(secrets_file: Path) -> None:
    secrets = keep_secrets(secrets_file)
    settings = config.load()
    assert settings.secret_key == secrets["SECRET_KEY"]
    assert settings.vapid_public_key == secrets["VAPID_PUBLIC_KEY"]
    assert settings.push_enabled
    assert secrets_file.stat().st_mode & 0o777 == 0o600
    assert list(secrets_file.parent.iterdir()) == [secrets_file]


def test_a_second_start_changes_nothing(secrets_file: Path) -> None:
    keep_secrets(secrets_file)
    before, inode = secrets_file.read_bytes(), secrets_file.stat().st_ino
    keep_secrets(secrets_file)
    assert (secrets_file.read_bytes(), secrets_file.stat().st_ino) == (before, inode)


@pytest.mark.usefixtures("migrated")
def test_the_start_after_a_rotation_keeps_the_keys_of_links_under_the_new_secret(
    secrets_file: Path, prepare: Prepare
) -> None:
    assert prepare().returncode == 0
    old = written(secrets_file)["SECRET_KEY"]
    rotated = create_app(config.load()).test_cli_runner().invoke(args=["secret", "rotate"])
    assert "has a new SECRET_KEY" in rotated.output
    assert written(secrets_file)["SECRET_KEY_PREVIOUS"] == old != written(secrets_file)["SECRET_KEY"]
    for _ in range(2):  # the second start finds nothing to do
        assert prepare().returncode == 0
        [path] = secrets_file.parent.glob("*.sqlite")
        with closing(sqlite3.connect(path)) as connection:
            purposes = [row[0] for row in connection.execute("SELECT purpose FROM site_secret ORDER BY id")]
        assert purposes == ["users of a host default", "the first key of private links", "a key of private links"]


@pytest.mark.parametrize("last_line", ["VAPID_PRIVATE_KEY=", "VAPID_PRIVATE_KEY=\n"])
def test_missing_secrets_are_appended_to_an_existing_file(secrets_file: Path, last_line: str) -> None:
    secrets_file.write_text(f"# the operator's own words\n{last_line}")
    assert list(keep_secrets(secrets_file)) == ["VAPID_PRIVATE_KEY", "SECRET_KEY"]
    assert secrets_file.read_text().startswith("# the operator's own words\nVAPID_PRIVATE_KEY=\nSECRET_KEY=")


@pytest.mark.parametrize("configured", ["VAPID_PRIVATE_KEY", "VAPID_PUBLIC_KEY"])
def test_with_a_key_of_the_operator_no_pair_is_made(secrets_file: Path, configured: str) -> None:
    Path(".env").write_text(f"{configured}=anything\n")
    assert set(keep_secrets(secrets_file)) == {"SECRET_KEY"}


def test_push_that_was_turned_off_on_purpose_stays_off(secrets_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAPID_PRIVATE_KEY", "")
    assert set(keep_secrets(secrets_file)) == {"SECRET_KEY"}
    assert not config.load().push_enabled


def test_a_secret_key_set_to_nothing_is_the_operators_to_mend(secrets_file: Path, prepare: Prepare) -> None:
    Path(".env").write_text("SECRET_KEY=\n")
    assert "SECRET_KEY" not in keep_secrets(secrets_file)
    assert "SECRET_KEY: missing" in prepare().stderr


def test_no_file_is_made_when_everything_is_configured(secrets_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OURS:
        monkeypatch.setenv(name, "anything")
    assert keep_secrets(secrets_file) == {}
    assert not secrets_file.exists()


def test_the_first_administrator_can_sign_in_with_the_printed_password(tmp_path: Path, prepare: Prepare) -> None:
    made = MADE.search(prepare().stdout)
    assert made
    [(email, password_hash)] = accounts(tmp_path)
    assert (made[1], email) == ("admin@localhost", "admin@localhost")
    assert PasswordHasher().verify(password_hash, made[2])
    assert len(made[2]) >= 16
    before = accounts(tmp_path)
    later = prepare(ADMIN_EMAIL="someone@example.org", ADMIN_PASSWORD="another one")
    assert (later.returncode, later.stdout) == (0, "")
    assert accounts(tmp_path) == before


@pytest.mark.usefixtures("migrated")
def test_a_sign_in_link_is_printed_beside_the_password_and_only_its_hash_is_stored(
    tmp_path: Path, prepare: Prepare
) -> None:
    printed = LINK.search(prepare(SITE_URL="https://feedback.example.org", ADMIN_PASSWORD="a long one").stdout)
    assert printed
    address, code = printed.groups()
    assert address == "https://feedback.example.org/login/link"
    [path] = tmp_path.glob("*.sqlite")
    assert code.encode() not in path.read_bytes()
    assert hashlib.sha256(code.encode()).hexdigest().encode() in b"".join(
        part.read_bytes() for part in tmp_path.glob("*.sqlite*")
    )


@pytest.mark.usefixtures("migrated")
def test_the_operator_can_name_the_first_administrator_and_the_password_is_not_repeated(
    tmp_path: Path, prepare: Prepare
) -> None:
    Path(".env").write_text("ADMIN_EMAIL=Someone@Example.org\nADMIN_PASSWORD='a long one'\n")
    output = prepare().stdout
    [(email, password_hash)] = accounts(tmp_path)
    assert email == "someone@example.org"
    assert PasswordHasher().verify(password_hash, "a long one")
    assert "someone@example.org" in output
    assert "a long one" not in output


@pytest.mark.usefixtures("migrated")
def test_an_unusable_administrator_stops_the_start_in_one_message(tmp_path: Path, prepare: Prepare) -> None:
    for setting, reason in (
        ({"ADMIN_PASSWORD": "1234567"}, "at least 8 characters"),
        ({"ADMIN_PASSWORD": "password"}, "very common"),
        ({"ADMIN_EMAIL": "nobody"}, "Not an e-mail address"),
    ):
        refused = prepare(**setting)
        assert refused.returncode == 1
        assert re.fullmatch(
            rf"Cannot create the first administrator: .*{reason}.* ADMIN_EMAIL and ADMIN_PASSWORD\.\n",
            refused.stderr,
        )
        assert accounts(tmp_path) == []


def test_a_database_that_does_not_answer_stops_the_start_in_one_message(prepare: Prepare) -> None:
    refused = prepare(DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert refused.returncode == 1
    assert refused.stderr.startswith("Cannot use the database: ")
    assert refused.stderr.endswith(" See DATABASE_URL.\n")
    assert "Traceback" not in refused.stderr


def test_bad_settings_stop_the_start_with_the_message_that_names_them_all(prepare: Prepare) -> None:
    refused = prepare(PUSH_TTL="soon", ADMIN_URL="admin")
    assert refused.returncode == 2
    assert refused.stderr.startswith("The settings cannot be used:\n  ADMIN_URL: ")
    assert "PUSH_TTL: " in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_disk_that_is_full_is_named_and_nothing_half_written_stays(
    secrets_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert first_run.main() == 1
    assert capsys.readouterr().err == f"Cannot store the secrets in {secrets_file}: No space left on device.\n"
    assert list(secrets_file.parent.iterdir()) == []
