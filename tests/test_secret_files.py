"""secret_files.py: refuse to start if other users can read a secret, and create private files."""

import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from feedback_push import secret_files
from tests import preloaded, servers

SECRET = "a secret for tests only"
COMMANDS = {
    "flask": ["flask", "--app", "wsgi", "user", "list"],
    "celery": ["celery", "-A", "celery_worker", "inspect", "ping"],
    "web server": ["feedback_push.web_server"],
}


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The folder as an ordinary mkdir makes it."""
    return folder(tmp_path / "instance", 0o755)


def folder(path: Path, mode: int) -> Path:
    path.mkdir()
    path.chmod(mode)
    return path


def file(path: Path, mode: int) -> Path:
    path.write_text("")
    path.chmod(mode)
    return path


def problems(instance: Path, url: str = "postgresql://db.example.org/feedback") -> list[str]:
    return list(secret_files.problems(Path(".env"), instance, url))


def named(path: Path) -> str:
    return f"{path}: others can read it. Run: chmod 600 {path}"


def run(instance: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {"INSTANCE_DIR": str(instance), "SECRET_KEY": SECRET, "PYTHONPATH": str(servers.CHECKOUT)}
    return preloaded.run([*command], environment=environment, folder=Path.cwd())


@pytest.mark.parametrize(("mode", "refused"), [(0o600, 0), (0o400, 0), (0o640, 1), (0o604, 1), (0o644, 1), (0o620, 1)])
def test_the_settings_file_is_for_its_owner_alone(instance: Path, tmp_path: Path, mode: int, refused: int) -> None:
    dotenv = file(tmp_path / ".env", mode)
    assert problems(instance) == [named(dotenv)] * refused


@pytest.mark.parametrize(
    ("around", "mode", "refused"),
    [
        *[(0o755, 0o644, 1), (0o755, 0o600, 0), (0o700, 0o644, 0), (0o750, 0o640, 1), (0o711, 0o604, 1)],
        *[(0o705, 0o640, 0), (0o750, 0o604, 0), (0o744, 0o644, 0)],
    ],
)
def test_a_secret_is_open_when_the_same_people_get_through_the_folder(
    tmp_path: Path, around: int, mode: int, refused: int
) -> None:
    instance = folder(tmp_path / "instance", around)
    secrets = file(instance / "secrets.env", mode)
    assert problems(instance) == [named(secrets)] * refused


def test_the_database_and_the_files_beside_it_are_secrets_too(instance: Path) -> None:
    database = file(instance / "feedback_push.sqlite", 0o600)
    log = file(instance / "feedback_push.sqlite-wal", 0o644)
    assert problems(instance, f"sqlite:///{database}?timeout=5") == [named(log)]


def test_a_closed_folder_on_the_way_is_enough(instance: Path) -> None:
    below = folder(instance / "data", 0o700)
    database = file(below / "x.sqlite", 0o644)
    assert problems(instance, f"sqlite:///{database}") == []
    below.chmod(0o755)
    assert problems(instance, f"sqlite:///{database}") == [named(database)]


def test_a_database_elsewhere_is_the_operators_business(instance: Path, tmp_path: Path) -> None:
    assert problems(instance, f"sqlite:///{file(tmp_path / 'x.sqlite', 0o644)}") == []
    assert problems(instance, "sqlite://") == []


def test_a_folder_without_secrets_in_it_is_no_leak(instance: Path, tmp_path: Path) -> None:
    assert problems(instance) == []
    assert problems(tmp_path / "missing") == []
    file(instance / "web.log", 0o644)
    assert problems(instance) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_theirs_to_shut(instance: Path) -> None:
    os.chown(file(instance / "secrets.env", 0o644), 65534, 65534)
    assert problems(instance) == []


def test_a_path_with_blanks_can_be_pasted_into_a_shell(tmp_path: Path) -> None:
    instance = folder(tmp_path / "my site", 0o755)
    file(instance / "secrets.env", 0o644)
    assert problems(instance)[0].endswith(f"chmod 600 '{instance}/secrets.env'")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_start_is_refused_with_one_line_a_file(instance: Path, tmp_path: Path, command: list[str]) -> None:
    opened = [file(tmp_path / ".env", 0o644), file(instance / "secrets.env", 0o644)]
    ended = run(instance, *command)
    assert ended.returncode != 0
    for path in opened:
        assert ended.stderr.count(named(path)) == 1
    assert "Traceback" not in ended.stderr


def test_a_database_of_our_making_is_private_in_an_open_folder(instance: Path) -> None:
    for command in (("db", "upgrade"), ("user", "list")):
        ended = run(instance, "flask", "--app", "wsgi", *command)
        assert ended.returncode == 0, ended.stderr
    with sqlite3.connect(instance / "feedback_push.sqlite") as still_open:
        assert still_open.execute("SELECT version_num FROM alembic_version").fetchone()
        made = {path.name: path.stat().st_mode & 0o777 for path in instance.iterdir()}
    still_open.close()
    assert set(made.values()) == {0o600}
    assert "feedback_push.sqlite-wal" in made


def test_a_database_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    shared = file(tmp_path / "x.sqlite", 0o660)
    secret_files.create_private(shared)
    assert shared.stat().st_mode & 0o777 == 0o660
