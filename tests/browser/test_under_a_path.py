"""The whole way of a message in a real Firefox, with the site under a path behind nginx, and beside another site."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from sqlalchemy import select

from feedback_push.auth import accounts
from feedback_push.database import db
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Message
from feedback_push.push import outbox
from tests import servers
from tests.browser.dashboard import STAFF, Dashboard
from tests.browser.firefox import Firefox
from tests.browser.test_visitor import WORKERS, turn_on
from tests.conftest import make_settings
from tests.doubles.certificates import LoopbackAuthority
from tests.doubles.push_service import PushService
from tests.proxies import documented
from tests.sessions import Visitor
from tests.site import Site

PATHS = ("/feedback-app", "/other-app")
LOCATION = "    location /feedback-app/ {\n        proxy_pass http://feedback;"
_TRUST = """
const authorities = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
authorities.addCertFromBase64(arguments[0], "CT,,");
"""
_COOKIES = "return Services.cookies.getCookiesFromHost(arguments[0], {}).map(({ name, path }) => [name, path])"
_KEPT = """
const kept = {};
for (const name of await caches.keys()) {
  kept[name] = (await (await caches.open(name)).keys()).map(({ url }) => new URL(url).pathname);
}
return kept;
"""


class Origin(NamedTuple):
    """https://localhost:PORT with a site under each of PATHS, and the authority that signed its certificate."""

    sites: list[Site]
    ca_file: Path

    def visitor(self, number: int = 0) -> Visitor:
        """Return a visitor without a browser."""
        return Visitor(self.sites[number].settings, self.ca_file)


@pytest.fixture(scope="module")
def origin(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    """Serve two sites behind one nginx."""
    if not documented.program("nginx"):
        pytest.skip("nginx is not installed")
    folder = tmp_path_factory.mktemp("origin")
    LoopbackAuthority(folder).server_context()
    port = servers.free_port()
    with ExitStack() as running:
        redis_url = running.enter_context(servers.redis_server(folder))  # for both
        sites = [running.enter_context(_site(folder, path, redis_url, migrated_sqlite, port)) for path in PATHS]
        other = f"    location {PATHS[1]}/ {{\n        proxy_pass http://127.0.0.1:{sites[1].settings.port};\n    }}\n"
        proxy = documented.running(
            "nginx",
            folder,
            port=port,
            upstream=sites[0].settings.port,
            certificate=folder / "server.pem",
            domain="example.org",
            changes={LOCATION: f"{other}{LOCATION}"},
        )
        running.enter_context(proxy)
        yield Origin(sites, folder / "ca.pem")
    assert [site.failures for site in sites] == [[], []]


@pytest.fixture
def dashboards(firefox: Firefox, origin: Origin, service: PushService) -> Iterator[list[Dashboard]]:
    """Both dashboards, in one browser that has never visited them."""
    certificate = "".join(origin.ca_file.read_text().splitlines()[1:-1])
    assert base64.b64decode(certificate)
    firefox.chrome(_TRUST, certificate)
    with ExitStack() as opened:
        yield [opened.enter_context(Dashboard(firefox, site, service, origin.ca_file)) for site in origin.sites]


def test_a_message_and_its_answer_go_the_whole_way(origin: Origin, dashboards: list[Dashboard]) -> None:
    dashboard, site = dashboards[0], dashboards[0].site
    browser = dashboard.browser
    browser.open(site.url)
    assert browser.url == f"{site.url}/feedback/"
    browser.find("#content").type("The export is broken.")
    browser.find("#submitter_name").type("Ada")
    browser.find("main form button[type=submit]").click()
    private_page = browser.wait_for("#private-link").text
    assert private_page.startswith(f"{site.url}/conversations/")
    turn_on(dashboard)
    dashboard.sign_in()
    browser.find("#push-enable").click()  # the permission is the origin's, so nobody is asked again
    dashboard.wait_for_card("on")
    scopes = [scope for scope in browser.chrome(WORKERS) if scope.startswith(site.settings.site_origin)]
    assert scopes == [f"{site.url}/admin/", f"{site.url}/visitor/"]
    assert {path for _, path in browser.chrome(_COOKIES, "localhost")} == {"/feedback-app"}
    caches = kept(browser)
    assert list(caches) == ["offline/feedback-app"]
    assert all(path.startswith("/feedback-app/") for path in caches["offline/feedback-app"])

    browser.open("about:blank")
    with origin.visitor() as ben:
        ben.write("It works.", name="Ben")
    assert browser.alert("Ben:").body == "It works."
    browser.click_alert("Ben:")
    browser.switch_to_newest_tab()
    assert browser.wait_for("#content").text == "It works."
    assert browser.url.startswith(f"{site.url}/admin/messages/")
    dashboard.wait_for_receipt(lambda told: told.clicked_at is not None)

    browser.open("about:blank")
    with site.database():
        staff = accounts.find(STAFF)
        assert staff
        message = db.session.scalars(select(Message).where(Message.submitter_name == "Ada")).one()
        entry_id = conversations.answer(message, staff, "It is mended.")
        db.session.commit()
        assert entry_id
        outbox.wake(entry_id)
    browser.alert("You have an answer")
    browser.click_alert("You have an answer")
    browser.switch_to_newest_tab()
    assert "It is mended." in browser.wait_for(".answered").text
    assert browser.url == private_page


def test_two_sites_of_an_origin_keep_their_sessions_workers_and_devices_apart(
    origin: Origin, dashboards: list[Dashboard]
) -> None:
    first, second = dashboards
    browser = first.browser
    first.sign_in()
    devices = [first.turn_on()]
    second.sign_in()
    # The permission is the origin's, but the administrator has turned it on for the other site only.
    assert browser.find("#push").attribute("data-state") == "granted-not-subscribed"
    browser.find("#push-enable").click()
    second.wait_for_card("on")
    devices.append(first.service.devices[-1])
    assert [first.devices, second.devices] == [[device.endpoint] for device in devices]
    assert sorted(kept(browser)) == ["offline/feedback-app", "offline/other-app"]
    for site, name in zip(origin.sites, ("Ada", "Ben"), strict=True):
        with Visitor(site.settings, origin.ca_file) as visitor:
            visitor.write("Hello", name=name)
        assert browser.alert(f"{name}:")
    for device in devices:
        first.service.wait_ack(device)
    assert [len(device.acks) for device in devices] == [1, 1]
    browser.find(".menu summary").click()
    browser.find("[data-logout] button").click()
    browser.wait_for("#email")
    assert first.visit() == "on"
    second.wait_for_devices()
    first.wait_for_devices(devices[0])


def kept(browser: Firefox) -> dict[str, list[str]]:
    """Return the paths in each cache of the page's origin."""
    found: dict[str, list[str]] = browser.async_script(_KEPT)
    return found


def _site(folder: Path, path: str, redis_url: str, migrated: Path, port: int) -> Site:
    """Return a site under a path of the origin, with a web server and a worker, but without the origin's proxy."""
    own = folder / path[1:]
    own.mkdir()
    shutil.copy(migrated, own / "site.sqlite")
    site = Site(replace(make_settings(f"sqlite:///{own / 'site.sqlite'}", redis_url, own), trusted_proxies=1))
    site.change(replace(site.settings, site_url=f"https://localhost:{port}{path}"))
    site.serve()
    site.work("--pool", "threads")
    site.url = site.settings.site_url
    return site
