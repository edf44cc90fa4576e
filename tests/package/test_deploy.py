"""The files for production: systemd units, compose.yaml, Caddy's configuration, and the Procfile."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import requests
from click.testing import CliRunner
from ruamel.yaml import YAML

from feedback_push import config
from feedback_push.__main__ import PROGRAMS
from feedback_push.config import Settings
from tests import preloaded, servers
from tests.conftest import KEYS
from tests.environment import environment_of
from tests.package import dockerfile
from tests.program import Program
from tests.proxies import documented
from tests.servers import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
COMMAND = "/srv/feedback-push/.venv/bin/feedback-push"
# A variable of compose.yaml, with the text after its name: a default, or the message if it is missing.
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(?::([-?])([^}]*))?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The parts of compose.yaml."""
    read: dict[str, Any] = YAML(typ="safe").load(CHECKOUT / "compose.yaml")
    return read


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_accepts_the_units_which_run_our_programs_without_rights(tmp_path: Path) -> None:
    copies = {unit: tmp_path / unit.name.replace("@.", "@8000.") for unit in UNITS}
    for unit, copy in copies.items():
        text = unit.read_text()
        copy.write_text(text.replace(COMMAND, sys.executable))
        if unit.suffix == ".socket":
            assert unit.with_suffix(".service") in UNITS  # which gets the socket
            continue
        [program] = re.findall(rf"^ExecStart={COMMAND} (\S+)$", text, re.MULTILINE)
        assert program in PROGRAMS
    verified = subprocess.run(
        ["systemd-analyze", "verify", *map(str, copies.values())], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, verified.stderr) == (0, "")
    services = [str(copy) for copy in copies.values() if copy.suffix == ".service"]
    exposed = ["systemd-analyze", "security", "--offline=true", "--threshold=25", *services]
    rated = subprocess.run(exposed, capture_output=True, text=True, check=False)
    assert rated.returncode == 0, rated.stdout


def test_the_files_for_compose_and_for_the_forge_fit_their_schemas() -> None:
    from check_jsonschema import main  # noqa: PLC0415 - every process that collects would build its grammars for a second

    forge = CHECKOUT / ".github"
    for schema, *paths in (
        ("compose-spec", CHECKOUT / "compose.yaml"),
        ("github-workflows", *(forge / "workflows").iterdir()),
        ("dependabot", forge / "dependabot.yml"),
    ):
        checked = CliRunner().invoke(main, ["--builtin-schema", f"vendor.{schema}", *map(str, paths)])
        assert checked.exit_code == 0, checked.output


def test_everything_that_compose_refers_to_exists(compose: dict[str, Any]) -> None:
    services, image = compose["services"], dict(dockerfile.instructions())
    assert {"web", "worker", "database", "redis", "caddy", "migrate"} == services.keys()
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            checked = "healthcheck" in services[needed] or ("build" in services[needed] and "HEALTHCHECK" in image)
            assert checked or how["condition"] != "service_healthy", f"{name} waits for {needed}"
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (CHECKOUT / source).is_file() if source.startswith(".") else source in compose["volumes"], volume
    assert services["migrate"]["command"] == ["feedback-push", "db", "upgrade"]
    for name in ("web", "worker"):
        assert services[name]["command"] == ["feedback-push", name]
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
        assert services[name]["read_only"]
        assert f"{image['VOLUME']}" in [volume.partition(":")[2] for volume in services[name]["volumes"]]


def test_the_settings_of_compose_start_the_site_and_missing_ones_stop_it(
    compose: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = dict(re.findall(r"^([A-Z_]+)=(.*)$", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))
    text = (CHECKOUT / "compose.yaml").read_text()
    used = {name: how for name, how, _ in VARIABLE.findall(text)}
    known = {name.upper() for name in Settings.__dataclass_fields__}
    assert example.keys() <= known | used.keys()
    assert {name for name, how in used.items() if how == "?"} <= example.keys()
    assert {name for name, how in used.items() if not how} == set()
    filled = example | {
        "SECRET_KEY": "a secret for tests only",
        "POSTGRES_PASSWORD": "4f2a",
        "VAPID_SUBJECT": "https://a.org",
    }
    keys = {"VAPID_PRIVATE_KEY": KEYS.private_key, "VAPID_PUBLIC_KEY": KEYS.public_key}
    ours = compose["services"]["web"]["environment"]
    assert ours.keys() <= known
    given = {name: VARIABLE.sub(lambda found: filled[found[1]], value) for name, value in ours.items()}
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ, filled | keys | given, clear=True):
        settings = config.load()
    assert settings.push_enabled
    assert (settings.host, settings.port, settings.trusted_proxies) == (ours["HOST"], 8000, 1)
    assert settings.database_url.endswith("feedback:4f2a@database/feedback")
    with patch.dict(os.environ, example | given, clear=True), pytest.raises(config.ConfigError, match="SECRET_KEY"):
        config.load()


@pytest.mark.server
@pytest.mark.skipif(not documented.program("caddy"), reason="caddy is not installed")
def test_caddy_takes_its_addresses_from_compose(compose: dict[str, Any], tmp_path: Path) -> None:
    given = compose["services"]["caddy"]["environment"] | {"SITE_ADDRESS": "https://compose.example.org"}
    adapt = [str(documented.program("caddy")), "adapt", "--config", str(DEPLOY / "Caddyfile"), "--validate"]
    own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    adapted = subprocess.run(adapt, env=own | given, capture_output=True, text=True, check=True).stdout
    assert '"host":["compose.example.org"]' in adapted
    assert '"dial":"web:8000"' in adapted


@pytest.mark.server
def test_the_procfile_runs_the_site_from_a_checkout(settings: Settings) -> None:
    lines = dict(line.split(": ", 1) for line in (CHECKOUT / "Procfile").read_text().splitlines())
    everywhere = "HOST=0.0.0.0 "
    assert lines["web"].startswith(everywhere)  # a platform's router comes from outside
    [referred] = re.findall(r"^-r (\S+)$", (CHECKOUT / "requirements.txt").read_text(), re.MULTILINE)
    assert (CHECKOUT / referred).is_file()
    port = str(servers.free_port())
    ready = f"http://127.0.0.1:{port}/readyz"
    folder = settings.instance_dir
    own = environment_of(settings) | {"PORT": port, "HOST": "127.0.0.1", "PATH": f"{servers.BIN}:{os.environ['PATH']}"}
    [python, with_module, *command] = lines["release"].split()
    assert (python, with_module) == ("python", "-m")
    assert preloaded.run(command, environment=os.environ | own).returncode == 0
    with (
        Program(["sh", "-c", f"exec {lines['web'].removeprefix(everywhere)}"], folder / "web.log", own) as web,
        Program(["sh", "-c", f"exec {lines['worker']}"], folder / "worker.log", own) as worker,
    ):
        servers.wait_until(lambda: _answers(ready) or not (web.is_alive and worker.is_alive), 60, "the start")
        assert (web.is_alive, worker.is_alive) == (True, True), web.log + worker.log


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
