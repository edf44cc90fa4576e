"""branding.py: the site's name, logo, colour and texts on its pages."""

import gzip
import json
from pathlib import Path

import pytest

from feedback_push import accent
from feedback_push.auth.models import User
from tests.conftest import PASSWORD
from tests.servers import CHECKOUT
from tests.visits import Page, Visit, Visitor

NAME = "Café <Blue> & Söhne"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 1"><script>alert(1)</script></svg>'
PNG = b"\x89PNG\r\n\x1a\n and more"


def logo_file(folder: Path, content: bytes) -> str:
    path = folder / "logo"
    path.write_bytes(content)
    return str(path)


def test_the_name_is_on_every_page_and_in_the_manifest(visit: Visit, staff: User) -> None:
    visitor = visit(site_name=NAME)
    for address in ("/feedback/", "/feedback/complete/", "/login"):
        assert visitor.read(address).one("title").words.endswith(f" · {NAME}")
    assert NAME in visitor.read("/login").one("main").words
    visitor.sign_in(staff.email, PASSWORD)
    for address in ("/admin/", "/admin/devices"):
        assert visitor.read(address).one("title").words.endswith(f" · {NAME}")
    page = visitor.read("/admin/")
    assert page.one("a", class_="brand").words == NAME
    assert page.one("meta", name="apple-mobile-web-app-title").attributes["content"] == NAME
    assert visitor.get("/admin/manifest.webmanifest").get_json()["name"] == NAME


def test_a_visitor_reads_whose_form_it_is_and_finds_the_way_back(visit: Visit, tmp_path: Path) -> None:
    for changes in ({}, {"site_logo": logo_file(tmp_path, PNG)}):
        visitor = visit(site_name=NAME, site_home="https://www.example.org/?a&b", form_defence=True, **changes)
        visitor.send("/feedback/", content="Hello", submitter_name="Ada")
        for address in ("/feedback/", "/feedback/confirm/", "/feedback/complete/"):
            page = visitor.read(address)
            assert page.one("a", href="https://www.example.org/?a&b").words == NAME, address
            assert page.one("img").attributes["alt"] == ""  # the name stands beside it
    page = visit(site_name=NAME).read("/feedback/")
    assert [link.words for link in page.all("a", href="/feedback/")] == [NAME]


def test_a_site_can_set_the_forms_texts(visit: Visit) -> None:
    visitor = visit(form_title="Tell <us>", form_intro="Line one\nline two", form_thanks="Bye & thanks")
    form, thanks = visitor.read("/feedback/"), visitor.read("/feedback/complete/")
    assert form.one("h1").words == "Tell <us>"
    assert form.one("title").words == "Tell <us> · Feedback Push"
    assert "Line one\nline two" in form.one("header").raw
    assert "What works" not in form.one("main").words
    assert thanks.one("p", class_="typed").words == "Bye & thanks"


def test_without_settings_the_words_are_ours(client: Visitor) -> None:
    assert client.read("/feedback/").one("h1").words == "Tell us what you think"
    assert "a person will read it" in client.read("/feedback/complete/").one("main").words


def test_a_form_with_an_error_says_so_first_in_its_title(visit: Visit) -> None:
    visitor = visit(form_title="Speak")
    assert Page(visitor.send("/feedback/")).one("title").words == "Error: Speak · Feedback Push"
    assert Page(visitor.send("/login")).one("title").words == "Error: Sign in · Feedback Push"


@pytest.mark.parametrize(
    ("content", "media_type"),
    [(SVG, "image/svg+xml; charset=utf-8"), (PNG, "image/png")],
)
def test_the_logo_is_shown_and_can_do_nothing(visit: Visit, tmp_path: Path, content: bytes, media_type: str) -> None:
    visitor = visit(site_logo=logo_file(tmp_path, content))
    for address in ("/feedback/", "/login"):
        shown = visitor.read(address).all("img")[0].attributes
        answer = visitor.get(shown["src"])
        assert answer.data == content
        assert answer.content_type == media_type
        assert shown["width"] == "224"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert "default-src 'none'" in policy
    assert "sandbox" in [directive.strip() for directive in policy]
    assert "script-src" not in answer.headers["Content-Security-Policy"]


def test_the_logo_is_read_once(visit: Visit, tmp_path: Path) -> None:
    visitor = visit(site_logo=logo_file(tmp_path, PNG))
    (tmp_path / "logo").unlink()
    assert visitor.get("/logo").data == PNG


def test_a_new_logo_or_colour_has_a_new_address_that_may_be_kept_for_ever(visit: Visit, tmp_path: Path) -> None:
    first = visit(site_logo=logo_file(tmp_path, PNG))
    second = visit(site_logo=logo_file(tmp_path, PNG + b"!"), site_accent="#123456")
    for number, start in enumerate(("/logo", "/theme.css")):
        ours, theirs = (addresses(visitor, start)[0] for visitor in (first, second))
        assert ours != theirs
        for address in (ours, theirs):
            kept = second.get(address).headers["Cache-Control"]
            assert ("immutable" in kept) is (address == theirs), number
    answer = first.get("/theme.css")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert first.get("/theme.css", headers={"If-None-Match": answer.headers["ETag"]}).status_code == 304


def addresses(visitor: Visitor, start: str) -> list[str]:
    """Return the address in the form's page."""
    values = [
        element.attributes.get(name, "") for element in visitor.read("/feedback/").elements for name in ("href", "src")
    ]
    return [value for value in values if value.startswith(start)]


def test_the_colour_reaches_every_page_through_a_stylesheet(visit: Visit) -> None:
    visitor = visit(site_accent="#8b1e3f")
    for address in ("/feedback/", "/feedback/complete/", "/login", "/nowhere"):
        [href] = [
            link.attributes["href"] for link in visitor.read(address).all("link") if "theme" in str(link.attributes)
        ]
        theme = visitor.get(href)
        assert theme.content_type == "text/css; charset=utf-8"
        assert "--pico-primary: #8b1e3f;" in theme.text
        assert "prefers-color-scheme: dark" in theme.text


def test_the_tick_of_a_box_is_as_readable_as_the_text_of_a_button(visit: Visit) -> None:
    for colour in ("#ffd400", "#8b1e3f"):
        light, dark = visit(site_accent=colour).get("/theme.css").text.split("@media")
        for theme, shades in ((light, accent.light(colour)), (dark, accent.dark(colour))):
            assert f"stroke='{shades.button_text.replace('#', '%23')}'" in theme, colour


def test_the_browsers_own_bars_take_the_colour(visit: Visit) -> None:
    visitor = visit(site_accent="#8b1e3f")
    for address in ("/feedback/", "/login", "/admin/offline"):
        light, dark = (meta.attributes["content"] for meta in visitor.read(address).all("meta", name="theme-color"))
        assert (light, dark) == (accent.light("#8b1e3f").button, accent.dark("#8b1e3f").tint) == ("#8b1e3f", dark)
    assert visitor.get("/admin/manifest.webmanifest").get_json()["theme_color"] == "#8b1e3f"


def test_our_own_icon_takes_the_colour(client: Visitor, visit: Visit) -> None:
    assert "#0b6b57" in client.get("/logo").text
    assert "#8b1e3f" in visit(site_accent="#8b1e3f").get("/logo").text
    assert client.read("/feedback/").all("img")[0].attributes["width"] == "56"


@pytest.mark.parametrize(("content", "own"), [(PNG, True), (b"\xff\xd8\xff", True), (SVG, False)])
def test_an_iphone_gets_an_icon_that_it_can_show(visit: Visit, tmp_path: Path, content: bytes, own: bool) -> None:
    visitor = visit(site_logo=logo_file(tmp_path, content))
    [link] = visitor.read("/login").all("link", rel="apple-touch-icon")
    assert link.attributes["href"].startswith("/logo") is own
    assert visitor.get(link.attributes["href"]).status_code == 200


@pytest.mark.parametrize("content", [PNG, SVG, None])
def test_a_notification_shows_the_logo_if_there_is_one(visit: Visit, tmp_path: Path, content: bytes | None) -> None:
    visitor = visit(**({"site_logo": logo_file(tmp_path, content)} if content else {}))
    constants = visitor.get("/admin/sw.js").text.splitlines()[:2]
    [address] = [json.loads(line.split(" = ")[1].rstrip(";")) for line in constants if line.startswith("const ICON")]
    answer = visitor.get(address)
    assert answer.headers["Cache-Control"].endswith("immutable")
    assert answer.data == (content or (CHECKOUT / "static" / "icons" / "icon-192.png").read_bytes())


def test_the_face_of_the_site_sets_no_cookie(client: Visitor) -> None:
    for address in ("/logo", "/theme.css"):
        answer = client.get(address)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers


def test_the_logo_and_the_theme_are_compressed_where_that_helps(client: Visitor) -> None:
    for address in ("/theme.css", "/logo"):
        plain, small = client.get(address), client.get(address, headers={"Accept-Encoding": "gzip"})
        assert gzip.decompress(small.data) == plain.data
        assert len(small.data) < 0.6 * len(plain.data)
        assert "Accept-Encoding" in small.headers["Vary"]
        assert small.headers["ETag"] != plain.headers["ETag"]
        again = {"Accept-Encoding": "gzip", "If-None-Match": small.headers["ETag"]}
        assert client.get(address, headers=again).status_code == 304
