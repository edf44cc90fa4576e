"""site_path.py: a site under a path, behind proxies that pass it on or remove it, and inside another application."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, url_for
from sqlalchemy import select
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.test import Client, TestResponse

from feedback_push import create_app
from feedback_push.auth.models import User
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.push.models import OutboxEntry
from feedback_push.site_path import absolute_url
from tests.conftest import PASSWORD
from tests.servers import CHECKOUT
from tests.visits import Page, Visit, Visitor

ORIGIN = "https://example.org"
SITE_URL = f"{ORIGIN}/feedback-app"
ADDRESSES = re.compile(r"(?<![\w.:/<])/(?!/)[a-z.][^\s\"'<>]*")  # in an attribute or a JSON text: within the origin
IN_SCRIPTS = re.compile(r"""["'`(]/[A-Za-z.{$]""")


@pytest.fixture
def below(settings: Settings, staff: User) -> Visitor:
    """A signed-in administrator of a site under a path, which has one message."""
    visitor = Visitor(create_app(replace(settings, site_url=SITE_URL)))
    answer = visitor.send("/feedback/", content="Hello", submitter_name="Ada", submitter_email="ada@example.org")
    assert answer.location == "/feedback-app/feedback/complete/"
    assert visitor.sign_in(staff.email, PASSWORD).location == "/feedback-app/admin/"
    return visitor


def ask(application: Any, address: str, script_name: str = "") -> TestResponse:
    """Request an address as a WSGI server does, which knows nothing of the site's path."""
    response: TestResponse = Client(application).get(address, base_url=f"{ORIGIN}{script_name}/")
    return response


def test_the_path_is_right_whether_a_proxy_passes_it_on_or_removes_it_or_another_application_splits_it_off(
    visit: Visit,
) -> None:
    site = visit(site_url=SITE_URL, trusted_proxies=0).application
    ways: dict[str, Callable[[str], TestResponse]] = {
        "passed on": lambda address: ask(site, f"/feedback-app{address}"),
        "removed": lambda address: ask(site, address),
        "split off": lambda address: ask(site, address, "/feedback-app"),
        "split off behind a proxy that removes a part": lambda address: ask(site, address, "/other"),
        "mounted": lambda address: ask(
            DispatcherMiddleware(Flask("host"), {"/feedback-app": site}), f"/feedback-app{address}"
        ),
    }
    for way, get in ways.items():
        answers = [get(address) for address in ("/", "/feedback", "/admin/?a=b", "/healthz", "/nowhere")]
        assert [(answer.status_code, answer.location) for answer in answers] == [
            (302, "/feedback-app/feedback/"),
            (308, f"{SITE_URL}/feedback/"),
            (302, "/feedback-app/login?next=/feedback-app/admin/?a%3Db"),
            (200, None),
            (404, None),
        ], way
        page = Page(get("/feedback/"))
        stylesheet = next(link.attributes["href"] for link in page.all("link", rel="stylesheet"))
        assert stylesheet.startswith("/feedback-app/static/"), way
        assert get(stylesheet.removeprefix("/feedback-app")).content_type == "text/css; charset=utf-8", way


def test_a_redirect_to_https_keeps_the_path(visit: Visit) -> None:
    site = visit(site_url=SITE_URL, trusted_proxies=1).application
    for address in ("/feedback-app/feedback/?a=b", "/feedback/?a=b"):
        answer = Client(site).get(address, base_url="http://example.org", headers={"X-Forwarded-Proto": "http"})
        assert answer.location == f"{SITE_URL}/feedback/?a=b"


def test_only_whole_parts_of_a_path_are_the_sites(visit: Visit) -> None:
    site = visit(site_url=SITE_URL).application
    assert ask(site, "/feedback-app").location == f"{SITE_URL}/"
    for address in (
        "/feedback-appendix/login",
        "/feedback-app.evil/",
        "/feedback-applogin",
        "/feedback-app/feedback-app/",
        "/Feedback-app/login",
    ):
        assert ask(site, address).status_code == 404, address
    assert ask(site, f"/feedback-app/{'x' * 3000}").status_code == 414


def test_a_site_may_stand_under_the_name_of_one_of_its_pages_if_the_path_is_passed_on(visit: Visit) -> None:
    for name in ("feedback", "admin", "static", "push"):
        site = visit(site_url=f"{ORIGIN}/{name}").application
        assert ask(site, f"/{name}/").location == f"/{name}/feedback/"
        assert ask(site, f"/{name}/feedback/").status_code == 200
        assert ask(site, f"/{name}/admin/").location == f"/{name}/login?next=/{name}/admin/"


def test_a_site_that_is_mounted_without_a_path_in_its_settings_is_not_half_right(visit: Visit) -> None:
    assert ask(visit(site_url=ORIGIN).application, "/", "/feedback-app").location == "/feedback/"


def test_every_address_on_every_page_is_under_the_path(below: Visitor) -> None:
    rules = below.application.url_map.iter_rules()
    pages = [rule.rule for rule in rules if "GET" in (rule.methods or ()) and not rule.arguments]
    found = []
    for address in [*pages, "/nowhere", "/admin/messages/1", "/admin/nowhere"]:
        response = below.get(address)
        if response.mimetype == "text/html":
            found += [(address, at) for at in addresses_in(Page(response))]
    assert len({page for page, _ in found}) > 12
    assert [at for at in found if not at[1].startswith("/feedback-app/")] == []


def addresses_in(page: Page) -> list[str]:
    """Return the addresses within the origin in the page's attributes, except those that hold a text or a path."""
    pairs = [pair for element in page.elements for pair in element.attributes.items()]
    values = [value for name, value in pairs if name not in ("d", "content", "type", "value", "placeholder")]
    values += [value for name, value in pairs if name == "value" and value.startswith("/")]
    return [address for value in values for address in ADDRESSES.findall(value)]


def test_every_address_in_manifests_and_workers_is_under_the_path(below: Visitor) -> None:
    for address in ("/admin/manifest.webmanifest", "/visitor/manifest.webmanifest"):
        found = ADDRESSES.findall(below.get(address).text.replace("image/", "").replace("application/", ""))
        assert found
        assert [at for at in found if not at.startswith("/feedback-app/")] == [], address
    manifest = below.get("/admin/manifest.webmanifest").json
    assert manifest
    assert (manifest["scope"], manifest["start_url"]) == ("/feedback-app/", "/feedback-app/admin/")
    for address in ("/admin/sw.js", "/visitor/sw.js"):
        script = below.get(address).text
        assert 'const SITE_PATH = "/feedback-app";' in script
        assert json.loads(script.partition("const ICON = ")[2].partition(";")[0]).startswith("/feedback-app/static/")


def test_no_script_or_stylesheet_holds_an_address_that_begins_at_the_root_of_the_origin() -> None:
    files = [path for kind in ("js", "css") for path in (CHECKOUT / "static").rglob(f"*.{kind}")]
    assert len(files) > 20
    lines = [(path.name, line) for path in files for line in path.read_text().splitlines() if IN_SCRIPTS.search(line)]
    patterns = ("/<link rel=", "/../g")  # regular expressions
    assert [found for found in lines if not any(pattern in found[1] for pattern in patterns)] == []


def test_no_template_holds_an_address_that_begins_at_the_root_of_the_origin() -> None:
    templates = list((CHECKOUT / "templates").rglob("*.*"))
    assert len(templates) > 20
    begins = re.compile(r"""(?:href|src|action|data-[a-z-]+|value)=["']/[a-z{]""")
    assert [path.name for path in templates if begins.search(path.read_text())] == []


def test_cookies_stay_under_the_path(visit: Visit, staff: User) -> None:
    for site_url, prefix in [
        (SITE_URL, "__Secure-"),
        ("http://127.0.0.1:8000/feedback-app", ""),
        (f"{ORIGIN}/a/b", "__Secure-"),
    ]:
        site = urlsplit(site_url)
        visitor = visit(site_url=site_url)
        answer = visitor.sign_in(staff.email, PASSWORD, remember="y")
        lines = [line.split("; ") for line in answer.headers.getlist("Set-Cookie")]
        end = site.path.replace("/", "_")
        names = {f"{prefix}{name}{end}" for name in ("session", "remember_token", "known_browser")}
        assert {line[0].partition("=")[0] for line in lines} == names
        for line in lines:
            assert f"Path={site.path}" in line
            assert ("Secure" in line) is (site.scheme == "https")
            assert not [part for part in line if part.startswith("Domain")]
        assert visitor.signed_in()
        ended = [line for line in visitor.sign_out().headers.getlist("Set-Cookie") if "01 Jan 1970" in line]
        assert ended
        assert all(f"Path={site.path}" in line.split("; ") for line in ended)
        assert not visitor.signed_in()


def test_two_sites_of_an_origin_know_nothing_of_each_others_sessions(
    visit: Visit, settings: Settings, staff: User
) -> None:
    sites = {
        path: visit(site_url=f"{ORIGIN}{path}", secret_key=f"the secret of {path}").application
        for path in ("/a", "/a/b")
    }
    host = Flask("host")
    host.extensions["settings"] = replace(settings, site_url=ORIGIN)
    host.wsgi_app = DispatcherMiddleware(host.wsgi_app, {**sites})  # type: ignore[method-assign]
    browser = Visitor(host)

    def signed_in() -> list[bool]:
        return [browser.get(f"{path}/admin/").status_code == 200 for path in sites]

    for path, expected in {"/a": [True, False], "/a/b": [True, True]}.items():
        answer = browser.send(f"{path}/login", email=staff.email, password=PASSWORD)
        assert answer.location == f"{path}/admin/"
        assert signed_in() == expected
    token = browser.read("/a/admin/").fields["csrf_token"]
    assert browser.post("/a/logout", data={"csrf_token": token}, headers={"Referer": ORIGIN}).status_code == 303
    assert signed_in() == [False, True]
    keys = {site.extensions["settings"].redis_prefix for site in sites.values()}
    assert keys == {"feedback_push:example.org/a:", "feedback_push:example.org/a/b:"}


def test_signing_in_leads_back_under_the_path_and_never_out_of_it(below: Visitor, staff: User) -> None:
    below.sign_out()
    asked = below.get("/admin/messages/1?list=all")
    assert asked.location == "/feedback-app/login?next=/feedback-app/admin/messages/1?list%3Dall"
    for wanted, reached in {
        "/feedback-app/admin/devices": "/feedback-app/admin/devices",
        "/shop/admin": "/feedback-app/admin/",
        "/feedback-app/../shop/": "/feedback-app/admin/",
        f"{SITE_URL}/admin/devices": "/feedback-app/admin/",
    }.items():
        address = f"/login?next={wanted}"
        assert below.send(address, email=staff.email, password=PASSWORD).location == reached
        assert below.get(address).location == reached
        below.sign_out()


def test_notifications_links_and_codes_name_the_whole_address(below: Visitor) -> None:
    payload = json.loads(db.session.scalars(select(OutboxEntry.payload)).one())["notification"]
    assert payload["navigate"] == f"{SITE_URL}/admin/messages/1"
    assert payload["actions"][0]["navigate"] == f"{SITE_URL}/admin/messages/1#answer"
    below.send("/feedback/", content="Hello", submitter_name="Ada")
    assert f"{SITE_URL}/conversations/" in below.get("/feedback/complete/").text
    with below.application.app_context():  # as in a worker
        assert absolute_url("admin.devices") == url_for("admin.devices") == f"{SITE_URL}/admin/devices"
        assert absolute_url("auth.login_link", _anchor="x") == f"{SITE_URL}/login/link#x"
    with below.application.test_request_context("/", base_url="http://localhost:8000/feedback-app"):
        assert absolute_url("feedback.form") == f"{SITE_URL}/feedback/"


def test_the_description_of_the_api_leads_to_its_operations(visit: Visit) -> None:
    site = visit(site_url=SITE_URL).application
    description = ask(site, "/feedback-app/api/v1/openapi.json").json
    assert description
    [server] = description["servers"]
    assert server["url"] == SITE_URL
    assert ask(site, f"{server['url']}{min(description['paths'], key=len)}").status_code == 401


def test_security_txt_names_the_one_place_where_it_counts(visit: Visit) -> None:
    visitor = visit(site_url=SITE_URL, security_contact=("mailto:security@example.org",))
    for address in ("/.well-known/security.txt", "/feedback-app/.well-known/security.txt"):
        answer = ask(visitor.application, address)
        assert f"Canonical: {ORIGIN}/.well-known/security.txt" in answer.text.splitlines()
