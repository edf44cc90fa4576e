"""links.py: addresses in a visitor's text become links that show the typed text and run no script."""

import re
from html import unescape
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import links

ATTRIBUTES = {"rel": "noopener noreferrer nofollow ugc", "dir": "ltr"}
RLO, PDF, ZWSP = "\u202e", "\u202c", "\u200b"
PIECES = ("http://", "https://", "mailto:", "www.", "a.b", "x@y.org", *"<>\"'&()[]{}\\/@:. \n=", RLO, ZWSP, "\u0430")


class Reader(HTMLParser):
    """Collects the text, and each link's address with its own text; anything else but a link fails."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text = ""
        self.links: list[tuple[str, str]] = []
        self._begun: tuple[str, int] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        address = given.pop("href")
        assert (tag, given) == ("a", ATTRIBUTES)
        assert self._begun is None
        self._begun = (str(address), len(self.text))

    def handle_endtag(self, tag: str) -> None:
        assert tag == "a"
        assert self._begun is not None
        self.links.append((self._begun[0], self.text[self._begun[1] :]))
        self._begun = None

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(str(links.linked(text)))
    reader.close()
    return reader


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://example.org/a_(b)., please", [("https://example.org/a_(b)", "https://example.org/a_(b)")]),
        ("(http://example.org/x)", [("http://example.org/x", "http://example.org/x")]),
        ("“https://example.org/x”, …", [("https://example.org/x", "https://example.org/x")]),
        ("\uff08https://example.org/\uff09。", [("https://example.org/", "https://example.org/")]),
        ("https://example.org。つぎ", [("https://example.org", "https://example.org")]),
        ("www.example.org!", [("http://www.example.org", "www.example.org")]),
        ("HTTPS://EXAMPLE.ORG/Path", [("https://example.org/Path", "HTTPS://EXAMPLE.ORG/Path")]),
        ("http://localhost:8000/?a=1&b=2#c", [("http://localhost:8000/?a=1&b=2#c",) * 2]),
        ("ada@example.org, x", [("mailto:ada@example.org", "ada@example.org")]),
        # A browser shows the host of the address: a look-alike in Punycode.
        ("https://\u0430pple.com/", [("https://xn--pple-43d.com/", "https://\u0430pple.com/")]),
        ("ada@müller.de", [("mailto:ada@xn--mller-kva.de", "ada@müller.de")]),
        # A comma or question mark of a mailto address would add recipients and headers.
        ("mailto:a,b@example.org?bcc=x@y.org", [("mailto:a%2Cb@example.org", "mailto:a,b@example.org")]),
        # The address ends where a character is invisible, so nothing reorders or hides a part of it.
        (f"https://example.org/{RLO}gpj.exe", [("https://example.org/", "https://example.org/")]),
        (f"https://example{ZWSP}.org/", [("https://example", "https://example")]),
        # Another host than the first one read would be the destination.
        ("http://good.example@evil.example/", []),
        ("http://good.example\\@evil.example/", []),
        ("http://good.example\\.evil.example/", [("http://good.example", "http://good.example")]),
        *((text, []) for text in ("javascript:alert(1)", "data:text/html,x", "ftp://example.org", "//example.org")),
        *((text, []) for text in ("README.md", "example.org", "https://[::1]/", "https://example.org:99999/", "http://")),
        ("https://" + "ü" * 300 + ".de", []),
        ("https://example.org/" + "x" * 1000, []),
    ],
)  # fmt: skip
def test_an_address_is_a_link_that_shows_what_was_typed(text: str, found: list[tuple[str, str]]) -> None:
    shown = read(text)
    assert shown.links == found
    assert shown.text == text


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_hostile_text_stays_text_and_every_link_leads_where_it_says(text: str) -> None:
    shown = read(text)
    assert shown.text == text
    for address, typed in shown.links:
        assert address.isascii() or "\u0430" in typed
        assert re.match(r"https?://[^/?#@\\]+|mailto:[^@?,]+@[^@?,]+\Z", address), address
        assert not re.search(f"[<>\\s{RLO}{PDF}{ZWSP}]", typed)


def test_markup_in_and_around_an_address_is_escaped() -> None:
    text = """<script>alert(1)</script> https://example.org/"onmouseover="x'&lt; <a href=https://example.org>"""
    made = str(links.linked(text))
    assert "<script" not in made
    assert '"onmouseover' not in made
    assert unescape(re.sub(r"</?a\b[^<>]*>", "", made)) == text


def test_a_text_full_of_addresses_has_links_up_to_a_limit_and_no_text_is_lost() -> None:
    text = "https://example.org/1 " * 600 + "www.a@ " * 3000
    shown = read(text)
    assert len(shown.links) == 500
    assert shown.text == text


def test_the_library_sees_only_short_words(monkeypatch: pytest.MonkeyPatch) -> None:
    # Its time is quadratic in the length of a text with open brackets.
    class Finder:
        lengths: list[int] = []  # noqa: RUF012

        def match(self, text: str) -> None:
            self.lengths.append(len(text))

    monkeypatch.setattr(links, "_finder", Finder())
    links.linked("http://a.b/(" * 20_000 + " " + "http://a.b/( " * 20_000)
    assert max(Finder.lengths) <= 1_000
    assert len(Finder.lengths) == 2_000
