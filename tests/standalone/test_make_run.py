"""`make run` as a person has it: the real launcher with its web server, worker and broker."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.servers import CHECKOUT, wait_until
from tests.standalone.launching import READY, Launchers, Run, is_gone, launchers

LINK = re.compile(r"Sign in +\S+/login/link#(\S+)")
ACCOUNT = re.compile(r"E-mail +(\S+)\n *Password +(\S+)")
EMAIL, PASSWORD = "ada@example.org", "correct horse battery"
# The environment of the tests replaces the one that `make run` creates.
MAKE_RUN = ["make", "run", f"VENV={sys.prefix}", f"--assume-old={sys.prefix}/.run-installed"]


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Launchers]:
    with launchers(tmp_path) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launchers]:
    """A launcher that `make` runs; the end of `make` has to leave nothing running."""
    with launchers(tmp_path_factory.mktemp("run")) as one:
        run = one.start(MAKE_RUN, ADMIN_EMAIL=EMAIL, ADMIN_PASSWORD=PASSWORD)
        yield one
        run.stop(run.process.terminate)
        assert run.printed.count("Stopped.") == 1


def fetch(url: str, browser: urllib.request.OpenerDirector | None = None, **form: str) -> tuple[int, str]:
    opener = browser or urllib.request.build_opener()
    request = urllib.request.Request(url, urlencode(form).encode() if form else None)  # noqa: S310 - our own server
    try:
        with opener.open(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def is_ready(run: Run) -> bool:
    return fetch(f"{run.url}/readyz")[0] == 200


def can_sign_in(run: Run, email: str, password: str) -> bool:
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', fetch(f"{run.url}/login", browser)[1])
    assert token
    fetch(f"{run.url}/login", browser, email=email, password=password, csrf_token=token[1])
    with browser.open(f"{run.url}/admin/", timeout=20) as page:
        return str(page.url) == f"{run.url}/admin/"


def sign_in_by_link(run: Run, code: str) -> bool:
    """Return whether the dashboard opens after the link's form is sent."""
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', fetch(f"{run.url}/login/link", browser)[1])
    assert token
    fetch(f"{run.url}/login/link/use", browser, token=code, csrf_token=token[1])
    with browser.open(f"{run.url}/admin/", timeout=20) as page:
        return str(page.url) == f"{run.url}/admin/"


def test_it_prints_where_to_go_and_how_to_sign_in(shared: Launchers) -> None:
    run = shared.runs[0]
    assert f"{run.url}/feedback/" in run.printed
    assert f"{run.url}/admin/" in run.printed
    assert can_sign_in(run, EMAIL, PASSWORD)
    link = LINK.search(run.printed)
    assert link
    assert [sign_in_by_link(run, link[1]) for _ in range(2)] == [True, False]


def test_database_broker_and_worker_answer(shared: Launchers) -> None:
    wait_until(lambda: is_ready(shared.runs[0]))


def test_everything_in_the_instance_folder_is_private(shared: Launchers) -> None:
    assert shared.instance.stat().st_mode & 0o777 == 0o700
    assert [path for path in shared.instance.rglob("*") if path.stat().st_mode & 0o077] == []


def test_a_second_launcher_in_the_same_folder_is_refused(shared: Launchers) -> None:
    second = shared.refused()
    assert second.returncode == 1
    assert "is already running" in second.stderr
    assert fetch(f"{shared.runs[0].url}/healthz")[0] == 200


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows a process's environment")
def test_what_names_the_first_administrator_is_not_in_the_environment_of_what_serves(shared: Launchers) -> None:
    run = shared.runs[0]
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in run.family()[1:]]
    assert len(environments) >= 3  # web server, worker and broker
    # The broker writes its title over its own.
    assert sum(str(shared.instance).encode() in environment for environment in environments) >= len(environments) - 1
    assert not [environment for environment in environments if b"ADMIN_" in environment or b"correct" in environment]


@pytest.mark.parametrize("victim", ["web server", "worker", "valkey-server"])
def test_a_part_that_dies_comes_back(shared: Launchers, victim: str) -> None:
    run = shared.runs[0]
    dead = run.members(victim)[0]
    told = run.printed.count("stopped unexpectedly")
    os.kill(dead, signal.SIGKILL)
    wait_until(lambda: run.printed.count("stopped unexpectedly") > told)
    wait_until(lambda: is_ready(run), 60)
    assert dead not in run.members(victim)


def test_after_kill_9_the_next_start_keeps_everything_and_ctrl_c_leaves_nothing_running(own: Launchers) -> None:
    killed = own.start()
    account = ACCOUNT.search(killed.printed)
    assert account
    assert account[1] == "admin@localhost"
    secrets = (own.instance / "secrets.env").read_bytes()
    family = killed.family()
    killed.process.kill()
    killed.process.wait()
    last = own.start(MAKE_RUN)
    assert READY in last.printed, last.printed
    assert can_sign_in(last, account[1], account[2])
    assert not ACCOUNT.search(last.printed)
    assert (own.instance / "secrets.env").read_bytes() == secrets
    wait_until(lambda: is_ready(last))
    wait_until(lambda: all(map(is_gone, family)))
    last.stop(lambda: os.killpg(last.process.pid, signal.SIGINT))
    assert "Traceback" not in last.printed
    assert [run.printed.count("Stopped.") for run in own.runs] == [0, 1]


@pytest.mark.parametrize("moment", ["first start", "web server"])
def test_it_can_be_stopped_while_it_starts(own: Launchers, moment: str) -> None:
    run = own.start(settled=False)
    wait_until(lambda: run.members(moment) != [], 60)
    assert run.stop(run.process.terminate) == 0
    said_on_the_way = r"The first administrator\n(.*\n){3}|Feedback Push is running\.\n(.*\n){3}|\nworker: Warm .*\n"
    assert re.sub(said_on_the_way, "", run.printed) == "Stopped.\n"


def test_a_port_that_is_taken_is_said_once_and_nothing_stays(own: Launchers) -> None:
    with socket.create_server(("127.0.0.1", own.port)):
        run = own.start()
    assert run.process.returncode == 1
    assert run.printed.count(f"Cannot listen on 127.0.0.1, port {own.port}: another program uses it.") == 1
    assert not ACCOUNT.search(run.printed)
    assert "Traceback" not in run.printed
    assert list(own.instance.glob("*.sqlite")) == []
    assert own.left_over() == []


def test_bad_settings_are_named_in_one_message(own: Launchers) -> None:
    run = own.start(PUSH_TTL="soon", ADMIN_URL="admin")
    assert run.process.returncode == 2
    assert run.printed.startswith("The settings cannot be used:\n")
    assert "ADMIN_URL" in run.printed
    assert "PUSH_TTL" in run.printed
    assert own.left_over() == []


def test_under_a_path_all_addresses_are_whole_and_with_a_redis_url_no_broker_is_run(own: Launchers) -> None:
    address = f"http://127.0.0.1:{own.port}/feedback-app"
    run = own.start(SITE_URL=f"{address}/", REDIS_URL="redis://127.0.0.1:1")
    for printed in (f"{address}/login/link#", f"Feedback form  {address}/feedback/\n", f"{address}/admin/\n"):
        assert printed in run.printed
    assert fetch(f"{address}/feedback/")[0] == 200
    assert run.members("valkey-server") == []
    assert "broker" in json.loads(fetch(f"{address}/readyz")[1])["problems"]
    assert not (own.instance / "broker").exists()


def test_an_old_python_is_refused_with_a_reason(tmp_path: Path) -> None:
    make = ["make", "run", f"VENV={tmp_path / 'venv'}", "PYTHON=false"]
    refused = subprocess.run(make, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "needs Python 3.11 or newer" in refused.stderr
    assert not (tmp_path / "venv").exists()


def test_help_lists_every_target() -> None:
    listed = subprocess.run(["make"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (CHECKOUT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert re.findall(r"^make ([\w-]+)", listed, re.MULTILINE) == targets[1].split()
