"""admin/installable.py: the worker with its words, the manifest, and the page without a network."""

import json
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from feedback_push.auth.models import User
from feedback_push.database import db
from tests.conftest import PASSWORD
from tests.visits import Visit, Visitor

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"/>'
PNG = b"\x89PNG\r\n\x1a\n"


def worker(visitor: Visitor, language: str = "en", **headers: str) -> TestResponse:
    return visitor.get("/admin/sw.js", headers={"Accept-Language": language, **headers})


def words(answer: TestResponse) -> dict[str, Any]:
    line = answer.text.splitlines()[0].removeprefix("const TEXTS = ").removesuffix(";")
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_worker_brings_its_words(client: Visitor) -> None:
    assert words(worker(client)) == {
        "lang": "en",
        "title": "New feedback",
        "body": "Open the inbox to read it.",
        "actions": {"answer": "Answer"},
    }


def test_its_words_are_in_the_language_of_the_browser(client: Visitor) -> None:
    assert words(worker(client, "lt,de;q=0.5"))["lang"] == "lt"
    assert "Accept-Language" in worker(client).vary


def test_an_administrators_own_language_comes_first(dashboard: Visitor, staff: User) -> None:
    staff.language = "de"
    db.session.commit()
    answer = worker(dashboard, "lt")
    assert words(answer)["lang"] == "de"
    assert "Cookie" in answer.vary


def test_a_worker_that_has_not_changed_is_not_sent_again(client: Visitor) -> None:
    english = worker(client)
    again = worker(client, **{"If-None-Match": english.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["Cache-Control"]) == (304, b"", "no-cache")
    assert "Accept-Language" in again.vary
    assert worker(client, "de", **{"If-None-Match": english.headers["ETag"]}).status_code == 200


@pytest.mark.parametrize("admin_url", ["/admin/", "/some/where/"])
def test_the_dashboard_can_be_installed(visit: Visit, staff: User, admin_url: str) -> None:
    visitor = visit(admin_url=admin_url, site_name="Blue Café")
    manifest = visitor.get(f"{admin_url}manifest.webmanifest")  # browsers ask for it without cookies
    assert manifest.content_type == "application/manifest+json"
    told = manifest.get_json()
    assert (told["name"], told["short_name"], told["display"]) == ("Blue Café", "Blue Café", "standalone")
    assert (told["id"], told["start_url"], told["scope"]) == (admin_url, admin_url, "/")
    assert {icon["purpose"] for icon in told["icons"]} == {"any", "maskable"}
    for icon in told["icons"]:
        assert visitor.get(icon["src"]).content_type == icon["type"]
    visitor.sign_in(staff.email, PASSWORD)
    assert [shortcut["name"] for shortcut in told["shortcuts"]] == ["Inbox", "Devices"]
    for shortcut in told["shortcuts"]:
        assert visitor.get(shortcut["url"]).status_code == 200
        assert visitor.get(shortcut["icons"][0]["src"]).status_code == 200
    assert visitor.read(admin_url).one("link", rel="manifest").attributes["href"] == f"{admin_url}manifest.webmanifest"


@pytest.mark.parametrize(("asked", "spoken"), [("de", "de"), ("lt,en;q=0.5", "lt"), ("fr", "en")])
def test_the_manifest_says_in_which_language_it_is(client: Visitor, asked: str, spoken: str) -> None:
    told = client.get("/admin/manifest.webmanifest", headers={"Accept-Language": asked}).get_json()
    assert (told["lang"], told["dir"]) == (spoken, "ltr")


@pytest.mark.parametrize(("content", "kind"), [(SVG, "image/svg+xml"), (PNG, "image/png"), (b"\xff\xd8\xff", None)])
def test_the_sites_logo_is_the_apps_icon_where_browsers_take_it(
    visit: Visit, tmp_path: Path, content: bytes, kind: str | None
) -> None:
    (tmp_path / "logo").write_bytes(content)
    visitor = visit(site_logo=str(tmp_path / "logo"))
    manifest = visitor.get("/admin/manifest.webmanifest").get_json()
    icons = manifest["icons"]
    assert [shortcut["icons"] for shortcut in manifest["shortcuts"]] == [icons[:1]] * 2
    if kind is None:
        assert all("/static/icons/" in icon["src"] for icon in icons)
        return
    [icon] = icons
    assert (icon["type"], icon["sizes"]) == (kind, "any")
    assert visitor.get(icon["src"]).data == content


def test_the_offline_page_is_the_same_for_everybody(client: Visitor, staff: User) -> None:
    stranger = client.get("/admin/offline")
    assert stranger.status_code == 200
    assert "No connection" in stranger.text
    assert "Set-Cookie" not in stranger.headers
    client.sign_in(staff.email, PASSWORD)
    assert client.get("/admin/offline").text == stranger.text


def test_the_offline_page_is_in_an_administrators_own_language(dashboard: Visitor, staff: User) -> None:
    staff.language = "lt"
    db.session.commit()
    assert '<html lang="lt"' in dashboard.get("/admin/offline").text


def test_the_offline_page_needs_nothing_but_style_sheets(client: Visitor) -> None:
    page = client.read("/admin/offline")
    assert page.all("script") + page.all("img") == []
    sheets = page.all("link", rel="stylesheet")
    assert len(sheets) == 3
    assert all(client.get(sheet.attributes["href"]).status_code == 200 for sheet in sheets)
