"""Feeds become plain text: RSS, Atom and JSON Feed, and everything that only claims to be one."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from feedback_push.topics import feed_reader
from feedback_push.topics.feed_document import LONGEST_LINK, MOST_ENTRIES, Document
from feedback_push.topics.feed_reader import Fault, Known, Unreadable
from tests.doubles.web_site import Page, WebSite
from tests.topics.published import ATOM, JSON_FEED, RSS, item, rss

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def site() -> Iterator[WebSite]:
    with WebSite() as running:
        yield running


def read(site: WebSite, body: bytes, content_type: str = "application/rss+xml") -> Document:
    site.pages["/blog/feed"] = Page(body, content_type=content_type)
    document = feed_reader.read(f"{site.url}/blog/feed", Known()).document
    assert document
    return document


def fault(site: WebSite, body: bytes, content_type: str = "application/rss+xml", status: int = 200) -> str:
    site.pages["/blog/feed"] = Page(body, content_type=content_type, status=status)
    with pytest.raises(Unreadable) as refused:
        feed_reader.read(f"{site.url}/blog/feed", Known())
    return refused.value.reason


def test_every_format_gives_the_same_entry(site: WebSite) -> None:
    for body, content_type in ((RSS, "text/xml"), (ATOM, "application/atom+xml"), (JSON_FEED, "application/feed+json")):
        document = read(site, body, content_type)
        assert (document.title, document.link, document.language) == ("Ada\u2019s tricks", f"{site.url}/", "de")
        [first, second] = document.entries
        assert first == (
            "urn:1", f"{site.url}/tricks/1?a=b&c=d", "A <new> & bold trick", "It works: here and there.", 1794042000.0
        )  # fmt: skip
        assert second.link == f"{site.url}/tricks/2"


def test_texts_are_plain_and_links_are_http_whatever_is_written(site: WebSite) -> None:
    marked_up = "&lt;b&gt;Bold&lt;/b&gt; \u202eevil &amp;lt;i&amp;gt;\u0085"
    text = "&lt;style&gt;p{}&lt;/style&gt;&lt;p&gt;one&lt;/p&gt;&lt;p&gt;t&lt;b&gt;w&lt;/b&gt;o"
    about = item("How to use &lt;script&gt;alert(1)&lt;/script&gt;", guid="2")
    first, second = read(site, rss(item(marked_up, guid="1", more=f"<description>{text}</description>"), about)).entries
    assert (first.title, first.text) == ("Bold \u202eevil <i>", "one two")
    assert second.title == "How to use <script>alert(1)</script>"
    links = {
        "javascript:alert(1)": "",
        "data:text/html,x": "",
        "https://ada:word@example.org/": "",
        "https://example.org/a b": "",
        f"https://example.org/{'a' * LONGEST_LINK}": "",
        "//example.org/x": "http://example.org/x",
        "https://example.org/ä": "https://example.org/ä",
    }
    items = [{"id": str(n), "url": link} for n, link in enumerate(links)]
    for body in (
        json.dumps({"version": "https://jsonfeed.org/version/1.1", "items": items}).encode(),
        rss(*(item("x", guid=str(n), more=f"<link>{link}</link>") for n, link in enumerate(links))),
    ):
        assert [entry.link for entry in read(site, body).entries] == list(links.values())


def test_json_values_of_any_type_break_nothing(site: WebSite) -> None:
    odd: list[Any] = [
        None,
        7,
        [],
        {},
        {"id": 7, "title": ["x"]},
        {"title": "\ud800a\x00b", "date_published": "x"},
        {"id": True},
    ]
    document = read(site, json.dumps({"version": "https://jsonfeed.org/version/1", "title": 7, "items": odd}).encode())
    assert [(entry.id, entry.title) for entry in document.entries] == [("7", ""), ("", "ab")]
    for body in (
        b"{",
        b'{"version": 7, "items": []}',
        b'{"version": "https://jsonfeed.org/version/1"}',
        b'{"a":' * 9000,
    ):
        assert fault(site, body) == Fault.NOT_A_FEED, body[:20]


def test_long_texts_and_many_entries_are_bounded(site: WebSite) -> None:
    long = item("t" * 5000, guid="g" * 5000, more=f"<description>{'d' * 50_000}</description>")
    [first] = read(site, rss(long)).entries
    assert (len(first.title), len(first.id), len(first.text)) == (300, 64, 500)
    dated = [
        item(str(n), more=f"<pubDate>{n % 28 + 1} Nov 20{n % 90 + 10} 10:00:00 GMT</pubDate>") for n in range(1500)
    ]
    entries = read(site, rss(*dated)).entries
    assert len(entries) == MOST_ENTRIES
    assert entries[0].published == max(entry.published or 0 for entry in entries)


def test_an_answer_that_is_no_feed_is_named(site: WebSite) -> None:
    page = b"<!DOCTYPE html><html><head><title>Blog</title></head><body><p>Hello<br></body></html>"
    assert fault(site, page, "text/html") == Fault.WEB_PAGE
    for body in (b"", b" \n"):
        assert fault(site, body) == Fault.EMPTY
    for body in (b"GIF89a", b"hello", b"<note>x</note>", b"\xff\xfe\x00", RSS[: len(RSS) // 5], b"[]"):
        assert fault(site, body) == Fault.NOT_A_FEED, body
    for status in (204, 206, 403, 404, 500, 503):
        assert fault(site, RSS if status > 206 else b"", status=status) == Fault.STATUS, status
    assert fault(site, RSS, status=410) == Fault.GONE


def test_a_feed_with_mistakes_or_another_encoding_is_read_all_the_same(site: WebSite) -> None:
    texts = RSS.decode().partition("?>")[2]
    for encoding in ("utf-16", "windows-1252"):
        body = f"<?xml version='1.0' encoding='{encoding}'?>{texts.replace('&#8217;', chr(0x2019))}".encode(encoding)
        assert read(site, body, "text/xml").title == "Ada\u2019s tricks", encoding
    for encoding in ("windows-1252", "x-unknown"):
        body = f"<?xml version='1.0' encoding='{encoding}'?>{texts}".encode("windows-1252")
        assert len(read(site, body, "text/xml; charset=utf-8").entries) == 2, encoding
    assert read(site, texts.replace("&amp;", "&").encode(), "text/html").title == "Ada\u2019s tricks"
    assert read(site, rss()).entries == []


def test_a_hostile_document_ends_its_own_parser_only(site: WebSite, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = b"".join(b'<!ENTITY a%d "%s">' % (n + 1, b"&a%d;" % n * 10) for n in range(12))
    declared = b'<!DOCTYPE rss [<!ENTITY a0 "lol">%s<!ENTITY f SYSTEM "%s/secret">]>' % (bomb, site.url.encode())
    site.pages["/secret"] = Page(b"secret")
    for text in (b"&a12;", b"&f;", b"<![CDATA[&a12;]]>"):
        document = read(site, declared + rss(f"<item><guid>1</guid><title>{text.decode()}</title></item>"))
        assert [len(entry.title) < 10 for entry in document.entries] == [True]
    assert {path for path, _ in site.requests} == {"/blog/feed"}
    monkeypatch.setattr(feed_reader, "_SECONDS_TO_PARSE", 1)
    assert fault(site, b"<rss version='2.0'><channel>" + b"<item>" * 300_000) == Fault.TOO_COMPLEX


def test_a_feed_that_has_not_changed_is_not_parsed_again(site: WebSite) -> None:
    modified = "Sat, 07 Nov 2026 10:00:00 GMT"
    site.pages["/feed"] = Page(RSS, etag='"1"', headers={"Last-Modified": modified, "Retry-After": "60"})
    first = feed_reader.read(f"{site.url}/feed", Known())
    again = feed_reader.read(f"{site.url}/feed", first.known)
    assert (first.status, again.status, again.document, again.known) == (200, 304, None, first.known)
    assert (site.requests[1][1]["If-None-Match"], site.requests[1][1]["If-Modified-Since"]) == ('"1"', modified)
    assert again.retry_after == 60
    site.pages["/feed"] = Page(RSS, headers={"ETag": "x" * 501})
    same = feed_reader.read(f"{site.url}/feed", first.known)
    assert (same.status, same.document, same.known.etag) == (200, None, "")
