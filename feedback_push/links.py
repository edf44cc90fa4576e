"""Turn web and e-mail addresses in a visitor's text into links."""

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import islice
from urllib.parse import quote, urlsplit

import idna
import regex
from linkify_it import LinkifyIt
from linkify_it.main import Match
from markupsafe import Markup, escape

from feedback_push.setting_validators import ascii_host

_REL = "noopener noreferrer nofollow ugc"
_LONGEST_WORD = 1_000  # characters; a longer word stays text
_LONGEST_HOST = 253  # characters, RFC 1035
_MOST_LINKS = 500  # in one text; what follows stays text
_MOST_WORDS = 2_000  # words that look like an address; the rest stays text
# Punctuation that the library leaves at the end of a link, where it belongs to the sentence.
_CLOSING = ".,;:!?…'\"“”„‘’‚«»‹›、。，．！？；：）］｝」』】》〉〕｠"  # noqa: RUF001 - meant
# The library is quadratic in the length of a text such as "http://a.b/(http://a.b/(…", so it gets one short word at a
# time. A word ends at invisible characters too, so no bidi control or zero-width space is part of a link. Joiners stay:
# Persian and Indic addresses contain them.
_WORD = regex.compile(r"(?V1)[^\p{White_Space}\p{Cc}[\p{Cf}--[\u200c\u200d]]<>]+")
_LIKE_AN_ADDRESS = regex.compile(r"://|www\.|@", regex.IGNORECASE)
# Without a backslash, which browsers read as a slash.
_ABSOLUTE = regex.compile(r"(?V1)https?://[^\p{White_Space}\p{C}\\]+", regex.IGNORECASE)
_KEPT_IN_ADDRESSES = "!#$%&'()*+,/:;=?@[]~"  # by quote; % stays, so that nothing is encoded twice
_finder = LinkifyIt().add("ftp:", None).add("//", None)


def linked(text: str) -> Markup:
    """Return the text as HTML in which http, https and mailto addresses, and addresses with `www.`, are links.

    A link shows exactly the typed characters, isolated from the direction of the text around it. Its host is in
    Punycode, so the browser names the real destination of a look-alike. Takes time linear in the length of the text.
    """
    parts, end = [], 0
    for first, last, address in islice(_found(text), _MOST_LINKS):
        parts += [escape(text[end:first]), _link(address, text[first:last])]
        end = last
    return Markup("").join([*parts, escape(text[end:])])


def absolute(typed: str) -> str | None:
    """Return an absolute http or https address in ASCII, as browsers spell it; None if the text is no such address.

    An address with a user name is none: it makes another site look like the destination.
    """
    if not _ABSOLUTE.fullmatch(typed):
        return None
    try:
        parts = urlsplit(typed)
        port, host = parts.port, parts.hostname or ""
        host = f"[{ip_address(host).compressed}]" if ":" in host else ascii_host(host)
    except ValueError:
        return None
    if "@" in parts.netloc:
        return None
    place = host if port is None else f"{host}:{port}"
    return quote(parts._replace(scheme=parts.scheme.lower(), netloc=place).geturl(), safe=_KEPT_IN_ADDRESSES)


def _found(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield the first position, the end and the address of each link."""
    words = (word for word in _WORD.finditer(text) if word.end() - word.start() <= _LONGEST_WORD)
    for word in islice((word for word in words if _LIKE_AN_ADDRESS.search(word.group())), _MOST_WORDS):
        for match in _finder.match(word.group()) or ():
            typed = match.raw.rstrip(_CLOSING)
            address = _address(match, match.url[: len(match.url) - len(match.raw) + len(typed)])
            if address is not None:
                first = word.start() + match.index
                yield first, first + len(typed), address


def _link(address: str, typed: str) -> Markup:
    return Markup(f'<a href="{escape(address)}" rel="{_REL}" dir="ltr">{escape(typed)}</a>')  # noqa: S704 - escaped


def _address(match: Match, address: str) -> str | None:
    """Return the address with its host in Punycode, or None if the text should stay text."""
    if match.schema == "mailto:":
        return _mail_address(address[len("mailto:") :])
    is_web = match.schema in ("http:", "https:") or match.raw[:4].lower() == "www."
    return _web_address(address) if is_web else None


def _mail_address(typed: str) -> str | None:
    mailbox, _, domain = typed.rpartition("@")
    host = _host(domain)
    return f"mailto:{quote(mailbox, safe='')}@{host}" if host else None


def _web_address(typed: str) -> str | None:
    # A name and password before the host make another site look like the destination, and browsers read a backslash
    # as a slash.
    try:
        parts = urlsplit(typed)
        host, port = _host(parts.hostname or ""), parts.port
    except ValueError:
        return None
    if not host or "@" in parts.netloc or "\\" in typed:
        return None
    return parts._replace(netloc=host if port is None else f"{host}:{port}").geturl()


def _host(typed: str) -> str | None:
    if len(typed) > _LONGEST_HOST:
        return None
    if typed.isascii():
        return typed.lower()
    try:
        return idna.encode(typed, uts46=True).decode()
    except idna.IDNAError:
        return None
