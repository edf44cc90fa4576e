"""Every command in the documentation exists, has the options that it is shown with, and is run by a test."""

import importlib.util
import json
import re
import subprocess
from dataclasses import replace
from itertools import count
from pathlib import Path

import click
import pytest
from celery.bin.worker import worker
from flask import Flask
from flask_migrate.cli import db as migrations
from sqlalchemy import func, select

from feedback_push import create_app, database
from feedback_push.__main__ import PROGRAMS
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.web_server import __main__ as web_server
from tests.docs.command_lines import Line, lines
from tests.docs.running import ELSEWHERE, HERE, NAMES
from tests.doubles.push_service import PushService
from tests.imports.test_import import OTHER, django, pem
from tests.servers import CHECKOUT
from tests.topics.followed import new_topic

_TARGETS = set(re.findall(r"^([a-z-]+):(?!=)", (CHECKOUT / "Makefile").read_text(), re.MULTILINE))


def complaint(app: Flask, words: tuple[str, ...]) -> str:
    """Return the fault of a command, or an empty string."""
    match words:
        case ("make", *rest):
            wrong = [word for word in rest if "=" not in word and word not in _TARGETS]
            return f"no target {wrong[0]}" if wrong else ""
        case ("python" | "python3", "-m", module, *rest) if module != "feedback_push":
            return "" if importlib.util.find_spec(module) else f"no module {module}"
        case ("celery", "-A", "celery_worker", "worker", *rest):
            return _parsed(worker, rest)
        case ("feedback-push", *rest) | ("python" | "python3", "-m", "feedback_push", *rest):
            return _ours(app, rest, installed=True)
        case ("flask", "--app", "wsgi", *rest):
            return _ours(app, rest, installed=False)
    return "not a command that can be checked"


def _ours(app: Flask, words: list[str], *, installed: bool) -> str:
    if not words or words == ["--help"]:
        return ""
    if installed and words[0] == "web":
        _, unknown = web_server.parser().parse_known_args(words[1:])
        return f"unexpected {unknown}" if unknown else ""
    if installed and words[0] in PROGRAMS:
        return _parsed(worker if words[0] == "worker" else click.Command(words[0]), words[1:])
    group = click.Group(commands={**app.cli.commands, "db": migrations})
    return _parsed(group, words)


def _parsed(command: click.Command, words: list[str]) -> str:
    """Parse as click does, but neither prompt nor look at files."""
    while isinstance(command, click.Group) and words:
        found = command.commands.get(words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    if isinstance(command, click.Group):
        return ""  # the name of the whole group
    context = click.Context(command, info_name=command.name)
    try:
        values, left, _ = command.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        return error.format_message()
    given = [name for name, value in values.items() if isinstance(value, str | tuple) and value]
    missing = [
        each.name
        for each in command.params
        if isinstance(each, click.Argument) and each.required and each.name not in given
    ]
    return f"unexpected {left}" if left else f"without {missing}" if missing else ""


def test_every_command_in_the_documentation_exists_with_its_options(app: Flask) -> None:
    found = lines()
    faults = {f"{line.where}: {' '.join(line.words)}": complaint(app, line.words) for line in found}
    assert {line: fault for line, fault in faults.items() if fault} == {}
    programs = {line.words[0] for line in found}
    assert programs >= {"feedback-push", "make", "flask", "celery", "python"}
    assert Line("operate.md", ("feedback-push", "doctor", "--json")) in found
    assert len(found) > 50


@pytest.mark.parametrize(
    "typed",
    [
        "feedback-push user lsit", "feedback-push push drill --wiat", "feedback-push user create", "make rnu",
        "celery -A celery_worker worker --concurency 2", "python -m feedback_push.wep_server", "flask --app wsgi run",
        "feedback-push worker --concurency 2", "feedback-push run --port 1", "feedback-push web --fed 3",
    ],
)  # fmt: skip
def test_a_mistyped_command_is_found(app: Flask, typed: str) -> None:
    assert complaint(app, tuple(typed.split()))


def test_every_command_in_the_documentation_is_run_by_a_test() -> None:
    """The next test runs those of HERE, and `make` is asked for its recipes below."""
    shown = {_name(line) for line in lines() if line.words[0] != "make"} - NAMES
    run = {f"feedback-push {command}" for command in HERE} | ELSEWHERE.keys()
    assert {"not run": shown - run, "not shown": run - shown} == {"not run": set(), "not shown": set()}
    for test, words in ELSEWHERE.values():
        path, _, name = test.partition("::")
        module = (CHECKOUT / path).read_text()
        assert (f"def {name}(" in module, words in module) == (True, True), test


@pytest.mark.usefixtures("private_files", "redis_url")
def test_the_commands_of_the_documentation_run(
    app: Flask, settings: Settings, service: PushService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make_files(service, tmp_path)
    monkeypatch.chdir(tmp_path)
    machines = count()
    for command, (prints, typed, exit_code) in HERE.items():
        on = app
        if command.startswith("restore"):  # on an empty machine
            folder = tmp_path / f"machine-{next(machines)}"
            url = f"sqlite:///{folder}/site.sqlite"
            on = create_app(replace(settings, instance_dir=folder, database_url=url))
        words = _words(command, tmp_path)
        db.session.remove()
        with on.app_context():
            result = on.test_cli_runner().invoke(_program(on), words, input=typed)
            db.session.remove()
        assert (result.exit_code, prints in result.output) == (exit_code, True), f"{command}: {result.output}"


def test_make_has_a_recipe_for_each_target_in_the_documentation() -> None:
    targets = {word for line in lines() if line.words[0] == "make" for word in line.words[1:]}
    up_to_date = [f"--assume-old=.venv/.{kind}-installed" for kind in ("run", "dev")]
    command = ["make", "--dry-run", *up_to_date, *sorted(targets)]
    recipes = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=60).stdout
    programs = set(re.findall(r"bin/python -m ([\w.]+)", recipes))
    assert programs >= {"benchmarks", "tests.audit", "tests.docs", "tests.fuzz", "tests.screenshots"}
    assert {name for name in programs if not importlib.util.find_spec(name)} <= {"pip", "venv"}


def _make_files(service: PushService, folder: Path) -> None:
    """Write the files that the documented commands import, and make the topic."""
    first, second = service.new_device(OTHER.public_key), service.new_device(OTHER.public_key)
    django(folder, [first], "you@example.org")
    (folder / "private_key.pem").write_bytes(pem(OTHER.private_key))
    subscription = {"endpoint": second.endpoint, "keys": {"p256dh": second.p256dh, "auth": second.auth}}
    (folder / "subscriptions.json").write_text(json.dumps([subscription]))
    (folder / "file").write_text("content,email\nThe brakes squeak.,ada@example.org\n")
    new_topic("tricks")
    db.session.commit()


def _name(line: Line) -> str:
    words = ("feedback-push", *line.words[3:]) if line.words[:3] == ("flask", "--app", "wsgi") else line.words
    return " ".join(words if len(words) > 1 else line.words)


def _program(app: Flask) -> click.Group:
    """Return the command of the installed package, without the three programs that serve."""
    database.enable_migrations(app)
    return click.Group(commands={**app.cli.commands, "db": migrations})


def _words(command: str, folder: Path) -> list[str]:
    """Replace what stands for something of the reader's own."""
    message = str(db.session.scalar(select(func.max(Message.id))))
    own = {"EMAIL": "ada@example.org", "KEY": "default", "FILE": str(folder / "file"), "42": message}
    return [own.get(word, word.replace("/var/backups", str(folder))) for word in command.split()]
