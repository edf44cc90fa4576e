"""Turn a feed (RSS, Atom or JSON Feed) into plain text.

`feed_reader` runs this file as a program of its own, because a hostile document can take minutes or gigabytes to parse.
So it imports nothing of ours, gets no settings, and lowers its own limits first.
"""

import calendar
import io
import json
import os
import resource
import sys
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import urljoin, urlsplit
from xml.sax import SAXException

MOST_ENTRIES = 1000  # the newest, by date or else by their order
LONGEST_LINK = 1500
_LONGEST_ID = 500
_LONGEST_TITLE = 300
_LONGEST_TEXT = 500
_LONGEST_SOURCE = 20_000  # characters of markup that are read for a text
_LARGEST = 1024 * 1024 * 1024  # bytes of memory
_HTML = ("text/html", "application/xhtml+xml")
_JSON_FEED = ("https://jsonfeed.org/version/1", "http://jsonfeed.org/version/1")
_SILENT = {"script", "style", "template"}
_INLINE = {"a", "abbr", "b", "bdi", "bdo", "cite", "code", "em", "i", "kbd", "mark", "q", "s", "small", "span"} | {
    *("strong", "sub", "sup", "time", "u", "wbr")
}


class Entry(NamedTuple):
    """An entry as plain text; each part may be empty. `published` is in seconds since 1970, or None."""

    id: str
    link: str
    title: str
    text: str
    published: float | None


class Document(NamedTuple):
    """A feed: its title, its page, its language (such as `de`), and its entries, the first as in the feed."""

    title: str
    link: str
    language: str
    entries: list[Entry]


class NotAFeed(ValueError):
    """The document is no feed; the text is `empty`, `web-page` or `not-a-feed`."""


def parse(body: bytes, url: str, content_type: str) -> Document:
    """Parse a feed that came from this URL with this Content-Type. Raise NotAFeed."""
    if not body.strip():
        raise NotAFeed("empty")
    is_json = body.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"{"
    found = _json_feed(body, url) if is_json else _xml_feed(body, url, content_type)
    kept = [entry for entry in found.entries if entry.id or entry.link or entry.title or entry.text]
    if len(kept) > MOST_ENTRIES and all(entry.published for entry in kept):
        kept.sort(key=lambda entry: entry.published or 0, reverse=True)
    return found._replace(entries=kept[:MOST_ENTRIES])


def _xml_feed(body: bytes, url: str, content_type: str) -> Document:
    import feedparser  # noqa: PLC0415 - only the parser's own process needs it

    if "charset" not in content_type.lower():
        content_type = "application/xml"  # the document names its encoding (RFC 7303); text/xml once meant ASCII
    found = feedparser.parse(
        io.BytesIO(body),
        response_headers={"content-type": content_type, "content-location": url},
        resolve_relative_uris=False,  # in markup, which is thrown away
        sanitize_html=False,
    )
    broken = isinstance(found.get("bozo_exception"), SAXException)
    if not found.get("version") or (broken and not found["entries"]):
        beginning = body[:2000].lower()
        raise NotAFeed("web-page" if b"<html" in beginning or b"<!doctype html" in beginning else "not-a-feed")
    feed = found["feed"]
    return Document(
        title=_words(feed.get("title_detail"))[:_LONGEST_TITLE],
        link=_link(str(feed.get("link") or "")),
        language=_language(feed.get("language")),
        entries=[_xml_entry(entry) for entry in found["entries"]],
    )


def _xml_entry(entry: Any) -> Entry:
    return Entry(
        id=_id(str(entry.get("id") or "")),
        link=_link(str(entry.get("link") or "")),
        title=_words(entry.get("title_detail"))[:_LONGEST_TITLE],
        text=_words(entry.get("summary_detail"), *entry.get("content", ()))[:_LONGEST_TEXT],
        published=_seconds(dict.get(entry, "published_parsed") or dict.get(entry, "updated_parsed")),
    )


def _words(*details: Any) -> str:
    """Return the first of these texts that is not empty."""
    for detail in filter(None, details):
        value = str(detail.get("value") or "")[:_LONGEST_SOURCE]
        if text := _without_markup(value) if detail.get("type") in _HTML else _line(value):
            return text
    return ""


def _seconds(parsed: Any) -> float | None:
    with suppress(ValueError, OverflowError, TypeError):
        return float(calendar.timegm(parsed)) if parsed else None
    return None


def _json_feed(body: bytes, url: str) -> Document:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise NotAFeed("not-a-feed") from None
    items = found.get("items")
    if not str(found.get("version")).startswith(_JSON_FEED) or not isinstance(items, list):
        raise NotAFeed("not-a-feed")
    return Document(
        title=_line(_string(found, "title"))[:_LONGEST_TITLE],
        link=_link(_string(found, "home_page_url"), url),
        language=_language(found.get("language")),
        entries=[_json_entry(item, url) for item in items if isinstance(item, dict)],
    )


def _json_entry(item: dict[str, Any], url: str) -> Entry:
    number = item.get("id")
    return Entry(
        id=_id(str(number) if type(number) is int else _string(item, "id")),
        link=_link(_string(item, "url") or _string(item, "external_url"), url),
        title=_line(_string(item, "title"))[:_LONGEST_TITLE],
        text=(
            _line(_string(item, "summary") or _string(item, "content_text"))
            or _without_markup(_string(item, "content_html"))
        )[:_LONGEST_TEXT],
        published=_timestamp(_string(item, "date_published") or _string(item, "date_modified")),
    )


def _string(item: dict[str, Any], name: str) -> str:
    value = item.get(name)
    return value[:_LONGEST_SOURCE] if isinstance(value, str) else ""


def _timestamp(text: str) -> float | None:
    with suppress(ValueError, OverflowError):
        at = datetime.fromisoformat(text[:40])
        return at.replace(tzinfo=at.tzinfo or UTC).timestamp()
    return None


def _id(text: str) -> str:
    """Return an id as it is, or a hash of a long one."""
    kept = text.encode("utf-8", "replace")
    return kept.decode().strip() if len(kept) <= _LONGEST_ID else sha256(kept).hexdigest()


def _link(text: str, base: str = "") -> str:
    """Return an absolute http or https URL without user information, or an empty string."""
    with suppress(ValueError):
        link = urljoin(base, text.strip()) if text.strip() else ""
        parts = urlsplit(link)
        plain = link.isprintable() and " " not in link and "\\" not in link and len(link) <= LONGEST_LINK
        if plain and parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc:
            return link
    return ""


def _language(value: object) -> str:
    language = value[:20].replace("_", "-").partition("-")[0].lower() if isinstance(value, str) else ""
    return language if language.isascii() and language.isalpha() else ""


def _without_markup(markup: str) -> str:
    parser = _Text()
    parser.feed(markup)
    parser.close()
    return _line("".join(parser.parts))


def _line(text: str) -> str:
    """Return the text on one line, without control characters and lone surrogates."""
    shown = ("" if unicodedata.category(char) in ("Cc", "Cs") and not char.isspace() else char for char in text)
    return " ".join("".join(shown).split())


class _Text(HTMLParser):
    """Collect the text of markup; an element that is no part of a line separates words."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._silent = ""

    def handle_starttag(self, tag: str, _attributes: Iterable[Any]) -> None:
        """Note an element whose text is not shown."""
        self._separate(tag)
        self._silent = self._silent or (tag if tag in _SILENT else "")

    def handle_endtag(self, tag: str) -> None:
        """Show text again after such an element."""
        self._separate(tag)
        self._silent = "" if tag == self._silent else self._silent

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        if not self._silent:
            self.parts.append(data)

    def _separate(self, tag: str) -> None:
        if tag not in _INLINE:
            self.parts.append(" ")


def main() -> None:
    """Read a line of JSON (`url`, `content_type`, `seconds`) and the feed; write its parts, or an `error`, as JSON."""
    given = json.loads(sys.stdin.buffer.readline())
    resource.setrlimit(resource.RLIMIT_CPU, (given["seconds"], given["seconds"]))
    with suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (_LARGEST, _LARGEST))
    os.nice(10)
    try:
        found: dict[str, Any] = parse(sys.stdin.buffer.read(), given["url"], given["content_type"])._asdict()
    except NotAFeed as error:
        found = {"error": str(error)}
    except (MemoryError, RecursionError):
        found = {"error": "too-complex"}
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
