"""deploy/ and docs/deploy.md: a site under a path, behind nginx and Caddy with TLS, and inside another application."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.conftest import PASSWORD, make_settings
from tests.doubles.certificates import LoopbackAuthority
from tests.environment import environment_of
from tests.program import Program
from tests.proxies import documented
from tests.sessions import Staff
from tests.site import Site

STAFF = "staff@example.org"
CONTACT = "mailto:security@example.org"
PASSED_ON: dict[str, dict[str, str]] = {"nginx": {}, "caddy": {}}
REMOVED = {
    "nginx": {"proxy_pass http://feedback;\n        client": "proxy_pass http://feedback/;\n        client"},
    "caddy": {"    handle @feedback {": "    handle @feedback {\n        uri strip_prefix /feedback-app"},
}
# The other application of docs/deploy.md, with what it might have of its own.
BEFORE = """
import logging
from celery import Celery

logging.basicConfig(format="host: %(message)s")
own_celery = Celery("host")
own_celery.set_default()
"""
AFTER = """
import celery
from flask import session

app.secret_key = "a secret of the host"
at_start = celery.current_app.main

@app.get("/")
def home():
    session["seen"] = True
    return [at_start, celery.current_app.main, *(handler.formatter._fmt for handler in logging.root.handlers)]
"""


@pytest.fixture(scope="module")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site under a path of https://localhost:PORT, which no proxy serves yet."""
    folder = tmp_path_factory.mktemp("under")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    (folder / "www").mkdir()
    (folder / "www" / "index.html").write_text("The rest of the site")
    authority = LoopbackAuthority(folder)
    authority.server_context()
    port = servers.free_port()
    with servers.redis_server(folder) as redis_url:
        settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
        with Site(replace(settings, trusted_proxies=1, security_contact=(CONTACT,))) as behind:
            behind.change(replace(behind.settings, site_url=f"https://localhost:{port}/feedback-app"))
            behind.serve()
            behind.create_user(STAFF)
            yield behind
    assert behind.failures == []


@pytest.mark.parametrize("changes", [PASSED_ON, REMOVED], ids=["passed on", "removed"])
@pytest.mark.parametrize("name", documented.NAMES)
def test_behind_a_proxy_that_passes_the_path_on_or_removes_it(
    site: Site, name: str, changes: dict[str, dict[str, str]]
) -> None:
    if not documented.program(name):
        pytest.skip(f"{name} is not installed")
    folder, origin = site.settings.instance_dir, site.settings.site_origin
    proxy = documented.running(
        name,
        folder,
        port=int(origin.rpartition(":")[2]),
        upstream=site.settings.port,
        certificate=folder / "server.pem",
        domain="example.org",
        changes=changes[name],
    )
    with proxy, Staff(site.settings, folder / "ca.pem") as staff:
        people_do_what_they_do_elsewhere(staff, site.settings.site_url)
        assert staff.get(f"{origin}/").text == "The rest of the site"
        assert f"Contact: {CONTACT}" in staff.get(f"{origin}/.well-known/security.txt").text
        assert staff.get(f"{origin}/login").status_code == 404


def test_inside_another_application_as_documented(migrated_sqlite: Path, tmp_path: Path) -> None:
    shutil.copy(migrated_sqlite, tmp_path / "site.sqlite")
    with servers.redis_server(tmp_path) as redis_url:
        settings = make_settings(f"sqlite:///{tmp_path / 'site.sqlite'}", redis_url, tmp_path)
        with Site(settings) as mounted:
            mounted.change(replace(mounted.settings, site_url=f"{mounted.url}/feedback-app"))
            mounted.create_user(STAFF)
            with host_application(tmp_path, mounted) as host, Staff(mounted.settings) as staff:
                people_do_what_they_do_elsewhere(staff, mounted.settings.site_url)
                assert staff.get(f"{mounted.url}/").json() == ["host", "host", "host: %(message)s"]
                assert "Traceback" not in host.log


@contextmanager
def host_application(folder: Path, site: Site) -> Iterator[Program]:
    """Serve the documented application, whose environment uses the same names for other things."""
    dotenv = folder / ".env"
    dotenv.touch(0o600)
    dotenv.write_text("".join(f"{name}='{value}'\n" for name, value in environment_of(site.settings).items()))
    documented_lines = documented.block("python", "DispatcherMiddleware").replace("/srv/feedback-push", str(folder))
    (folder / "host.py").write_text(BEFORE + documented_lines + AFTER)
    command = [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{site.settings.port}", "host:app"]
    own = {"PYTHONPATH": f"{servers.CHECKOUT}:{folder}", "SECRET_KEY": "short", "SITE_URL": "the host's own name"}
    with Program(command, folder / "host.log", own) as host:
        servers.wait_until(lambda: answers(site.settings.site_url) or not host.is_alive, 60, "the host's start")
        assert host.is_alive, host.log
        yield host


def people_do_what_they_do_elsewhere(staff: Staff, address: str) -> None:
    """Write, sign in, look and leave, as `tests/proxies/test_documented_proxies.py` does without a path."""
    assert staff.get("").url == f"{address}/feedback/"
    assert staff.get("/admin/").url.startswith(f"{address}/login?next=")
    assert staff.get("/healthz").json() == {"status": "ok"}
    assert staff.write("Hello").url == f"{address}/feedback/complete/"
    signed_in = staff.sign_in(STAFF, PASSWORD, "/admin/devices")
    assert (signed_in.url, signed_in.status_code) == (f"{address}/admin/devices", 200)
    assert "Hello" in staff.get("/admin/messages.csv").text
    page = staff.dashboard()
    origin = address.removesuffix("/feedback-app")
    for link in page.all("link", rel="stylesheet"):
        assert staff.get(origin + link.attributes["href"]).headers["Content-Type"].startswith("text/css")
    assert staff.get("/admin/nowhere").status_code == 404
    assert staff.cookie_paths == {"/feedback-app"}
    assert staff.sign_out().url == f"{address}/login"


def answers(address: str) -> bool:
    """Return whether a site answers."""
    try:
        return requests.get(f"{address}/healthz", timeout=5).ok
    except requests.RequestException:
        return False
