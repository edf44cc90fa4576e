"""The wheel is complete, and in an empty folder one command of it runs the whole site."""

import ast
import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from email import message_from_bytes
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
import requests
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests import servers
from tests.conftest import KEYS, PASSWORD, make_settings
from tests.doubles.push_service import PushService
from tests.package import dockerfile
from tests.package.installed import Installed, Wheel, build
from tests.program import Program
from tests.servers import CHECKOUT
from tests.sessions import Staff
from tests.standalone.launching import Launchers, launchers

EMAIL = "ada@example.org"


@pytest.fixture
def empty(tmp_path: Path, installed: Installed) -> Iterator[Launchers]:
    """Starts `feedback-push run` in an empty folder."""
    (tmp_path / "empty").mkdir()
    with launchers(tmp_path / "empty", [installed.command, "run"]) as started:
        yield started


def locked(name: str) -> dict[str, str]:
    """Return the versions in a file of requirements/, by the canonical names of the distributions."""
    pin = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==(\S+)", re.MULTILINE)
    pins = pin.findall((CHECKOUT / "requirements" / name).read_text())
    return {canonicalize_name(name): version for name, version in pins}


def requirements(wheel: Wheel) -> list[Requirement]:
    """Return the dependencies that the wheel names; those of an extra have a marker."""
    [metadata] = [content for name, content in wheel.files.items() if name.endswith(".dist-info/METADATA")]
    return [Requirement(line) for line in message_from_bytes(metadata).get_all("Requires-Dist", [])]


def closure(asked: list[Requirement]) -> set[str]:
    """Return the names of the distributions that these bring with them, as the installed ones tell."""
    found: set[str] = set()
    while asked:
        one = asked.pop()
        name = canonicalize_name(one.name)
        if name not in found and (is_extra(one) or not one.marker or one.marker.evaluate()):
            found.add(name)
            asked += [further for text in requires(name) or [] if not is_extra(further := Requirement(text))]
    return found


def is_extra(requirement: Requirement) -> bool:
    """Return whether only an extra needs it."""
    return "extra ==" in str(requirement.marker)


def test_it_contains_every_file_and_so_does_one_from_the_source_distribution(wheel: Wheel, tmp_path: Path) -> None:
    sources = {
        path.relative_to(CHECKOUT).as_posix(): path
        for folder in ("feedback_push", "static", "templates")
        for path in (CHECKOUT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    inside = {
        f"feedback_push/{name.removeprefix('feedback_push/')}": path.read_bytes() for name, path in sources.items()
    }
    assert {name: content for name, content in wheel.files.items() if ".dist-info/" not in name} == inside
    with tarfile.open(build("sdist", tmp_path)) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert Wheel(build("wheel", tmp_path, source=unpacked)).files == wheel.files


def test_the_locked_versions_are_ones_that_it_asks_for(wheel: Wheel) -> None:
    asked = requirements(wheel)
    assert len(asked) > 20
    files = {extra: locked("dev.txt" if extra else "run.txt") for extra in (False, True)}
    found = {str(one): files[is_extra(one)].get(canonicalize_name(one.name), "0") for one in asked}
    assert {one: version for one, version in found.items() if not Requirement(one).specifier.contains(version)} == {}


def test_all_that_it_imports_comes_with_it(wheel: Wheel) -> None:
    imported = {
        module.split(".")[0]
        for name, content in wheel.files.items()
        if name.endswith(".py")
        for node in ast.walk(ast.parse(content))
        for module in _imports(node)
    }
    foreign = imported - sys.stdlib_module_names - {"feedback_push"}
    assert {"flask", "celery", "sqlalchemy"} <= foreign
    brought, owners = closure(requirements(wheel)), packages_distributions()
    assert [one for one in foreign if brought.isdisjoint(map(canonicalize_name, owners.get(one, [])))] == []


def test_in_an_empty_folder_one_command_runs_the_site_and_a_message_reaches_a_browser(
    empty: Launchers, service: PushService
) -> None:
    run = empty.start(
        ADMIN_EMAIL=EMAIL,
        ADMIN_PASSWORD=PASSWORD,
        PUSH_ALLOWED_HOSTS="127.0.0.1",
        PUSH_ALLOW_PRIVATE_ADDRESSES="true",
        FORM_DEFENCE="off",  # the form is posted faster than a person can type
    )
    assert f"Dashboard      {run.url}/admin/\n" in run.printed, run.printed
    with Staff(replace(make_settings("", "", empty.instance), site_url=run.url)) as staff:
        staff.sign_in(EMAIL, PASSWORD)
        key = staff.get("/push/key").json()["applicationServerKey"]
        device = service.new_device(key)
        staff.subscribe(device)
        assert staff.write("Hello", name="Carol").url == f"{run.url}/feedback/complete/"
        [push] = device.wait(1)
        assert push.json()["notification"]["title"] == "Carol:"
        style = staff.read("/feedback/").all("link", rel="stylesheet")[0].attributes["href"]
        assert staff.get(style).headers["Content-Type"].startswith("text/css")
    german = requests.get(f"{run.url}/feedback/", headers={"Accept-Language": "de"}, timeout=20).text
    assert '<html lang="de"' in german
    assert {path.name for path in empty.instance.parent.iterdir()} == {"instance"}
    assert run.stop(run.process.terminate) == 0


def test_its_parts_run_by_themselves_and_nothing_in_their_folder_replaces_a_module(
    installed: Installed, migrated_sqlite: Path, tmp_path: Path
) -> None:
    for module in ("celery", "flask", "secrets", "wsgi"):
        (tmp_path / f"{module}.py").write_text("raise SystemExit('replaced')\n")
    (tmp_path / "instance").mkdir(0o700)
    shutil.copy(migrated_sqlite, tmp_path / "instance" / "feedback_push.sqlite")
    with servers.redis_server(tmp_path) as redis_url:
        port = str(servers.free_port())
        settings = {
            "SECRET_KEY": "a secret for tests only",
            "REDIS_URL": redis_url,
            "PORT": port,
            "SITE_URL": "https://feedback.example.org/app",
        }
        created = installed.run(
            "user", "create", EMAIL, "--password-stdin", folder=tmp_path, typed=PASSWORD, **settings
        )
        assert created.stdout == f"{EMAIL} can sign in now.\n", created.stderr
        options = ["--pool", "threads", "--concurrency", "1", "--without-mingle"]
        with (
            Program([installed.command, "web"], tmp_path / "web.log", settings, tmp_path) as web,
            Program([installed.command, "worker", *options], tmp_path / "worker.log", settings, tmp_path) as worker,
        ):
            servers.wait_until(lambda: _is_ready(port) or not (web.is_alive and worker.is_alive), 60, "the start")
            assert (web.is_alive, worker.is_alive) == (True, True), web.log + worker.log
            assert "concurrency: 1 (thread)" in worker.log
            assert _health_check(installed, tmp_path, settings) == 0
        assert _health_check(installed, tmp_path, settings) == 1


def test_new_keys_need_no_settings_and_a_wrong_key_is_refused_with_its_own_command(
    installed: Installed, tmp_path: Path
) -> None:
    generated = dict(
        line.split("=") for line in installed.run("vapid", "generate", folder=tmp_path).stdout.splitlines()
    )
    mixed = generated | {"VAPID_PUBLIC_KEY": KEYS.public_key, "SECRET_KEY": "a secret for tests only"}
    refused = installed.run("user", "list", folder=tmp_path, **mixed)
    assert refused.returncode == 1
    assert "`feedback-push vapid generate` creates a pair." in refused.stderr
    assert list(tmp_path.iterdir()) == []


def _is_ready(port: str) -> bool:
    try:
        address = f"http://127.0.0.1:{port}/app/readyz"
        return requests.get(address, headers={"Host": "feedback.example.org"}, timeout=5).ok
    except requests.RequestException:
        return False


def _health_check(installed: Installed, folder: Path, settings: dict[str, str]) -> int:
    python, *words = json.loads(dict(dockerfile.instructions())["HEALTHCHECK"].partition(" CMD ")[2])
    command = [str(installed.folder / "bin" / python), *words]
    return subprocess.run(command, cwd=folder, env=settings, check=False, timeout=60).returncode


def _imports(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
