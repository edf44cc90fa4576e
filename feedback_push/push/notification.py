"""Notifications: their kinds, and their JSON (Declarative Web Push) at each preview level."""

import base64
import json
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from hashlib import sha256

import regex
from flask_babel import force_locale, format_decimal, gettext, lazy_gettext, ngettext

from feedback_push import bidi, browser_name, private_links
from feedback_push.auth.audit import NOTICE_TITLES
from feedback_push.language import LANGUAGES
from feedback_push.push import receipts
from feedback_push.push.claims import Entry
from feedback_push.push.models import PreviewLevel

LARGEST_PAYLOAD = 3000  # bytes; RFC 8291 allows 3993, but some bridges re-encode
_LARGEST_UNSTAMPED = LARGEST_PAYLOAD - receipts.LONGEST_TOKEN
BODY_LENGTH = 120
LONGEST_NEWS = 1000  # characters of the body of a broadcast
_LAST = 20  # characters in which the end of a word is looked for
_NAMELESS = '"title":":"'
_CLUSTER = regex.compile(r"\X")
_LINE_ENDS = regex.compile("[\n\t\u2028\u2029]+")


TEST = "test"  # the kind of a test notification for one device
_SUMMARY = "summary:"  # prefix of a summary's code; the code of the summarised kind follows


@dataclass(frozen=True)
class Kind:
    """A kind of notification that administrators can turn off; its code has at most 12 characters."""

    code: str
    name: str
    title: str  # of one that may not show more
    summary_title: Callable[[int], str]
    leads_to: str = ""  # the address a summary opens, relative to the dashboard's
    is_titled: bool = False  # its title is always `title`, in the language of the device
    discreet: str = ""  # the title of one that may show nothing, in place of `title`


def _new_messages(count: int) -> str:
    return str(ngettext("%(count)s new message", "%(count)s new messages", count, count=format_decimal(count)))


def _new_replies(count: int) -> str:
    return str(ngettext("%(count)s new reply", "%(count)s new replies", count, count=format_decimal(count)))


def _new_notifications(count: int) -> str:
    several = ngettext("%(count)s new notification", "%(count)s new notifications", count, count=format_decimal(count))
    return str(several)


def _new_answers(count: int) -> str:
    return str(ngettext("%(count)s new answer", "%(count)s new answers", count, count=format_decimal(count)))


def _news(count: int) -> str:
    return str(ngettext("%(count)s piece of news", "%(count)s pieces of news", count, count=format_decimal(count)))


FEEDBACK = Kind("feedback", lazy_gettext("New feedback"), lazy_gettext("New message"), _new_messages)
REPLY = Kind("reply", lazy_gettext("Replies of visitors"), lazy_gettext("New reply"), _new_replies)
API = Kind("api", lazy_gettext("Notifications of programs"), lazy_gettext("New notification"), _new_notifications)
NEWS = Kind("news", lazy_gettext("News"), lazy_gettext("News"), _news)
ANSWER = Kind("answer", lazy_gettext("Answers"), lazy_gettext("You have an answer"), _new_answers, is_titled=True)
OPTIONAL_KINDS = {kind.code: kind for kind in (FEEDBACK, REPLY, API)}  # by administrators
# Notices of an account's security; nobody can turn them off, because a thief would.
NOTICES = {
    event.value: Kind(event, title, title, _new_notifications, is_titled=True, discreet=lazy_gettext("Security notice"))
    for event, title in NOTICE_TITLES.items()
}
_KINDS = OPTIONAL_KINDS | NOTICES | {kind.code: kind for kind in (ANSWER, NEWS)}


def summary_of(kind: Kind) -> str:
    """Return the code of a summary of this kind."""
    return _SUMMARY + kind.code


def summarised(code: str) -> Kind | None:
    """Return the kind that an entry with this code summarises; None if it is no summary."""
    return OPTIONAL_KINDS.get(code.removeprefix(_SUMMARY)) if code.startswith(_SUMMARY) else None


@dataclass(frozen=True)
class Action:
    """A button on a notification: its name for the service worker, its text, and the address it opens."""

    action: str
    title: str
    navigate: str


@dataclass(frozen=True)
class Notification:
    """A notification as a browser shows it: a click opens `navigate`, an absolute address.

    A later notification with the same `tag` replaces it. `app_badge` is the number on the icon of an installed
    dashboard; None leaves the icon unchanged. `image` and `icon` are addresses of pictures, or empty.
    """

    title: str
    body: str
    navigate: str
    tag: str
    urgency: str = "high"
    app_badge: int | None = None
    actions: tuple[Action, ...] = ()
    image: str = ""
    icon: str = ""

    @property
    def topic(self) -> str:
        """The tag as an RFC 8030 Topic: 32 base64url characters, a length that Apple accepts too."""
        return base64.urlsafe_b64encode(sha256(self.tag.encode()).digest())[:32].decode()

    def to_json(self) -> str:
        """Return the payload, with the body shortened until it has at most LARGEST_PAYLOAD bytes with its receipt."""
        text = _encode(self)
        if len(text.encode()) <= _LARGEST_UNSTAMPED:
            return text
        if not self.body:
            raise ValueError("a notification without a body is still too large")
        half = len(self.body) // 2
        return replace(self, body=bidi.isolated(excerpt(self.body, half)) if half > 8 else "").to_json()


def payload_for(entry: Entry, shows: PreviewLevel, language: str) -> str:
    """Return the payload for a device with this preview level and language."""
    language = language if language in LANGUAGES else "en"
    if shows != PreviewLevel.ALL or summarised(entry.kind) or _is_titled(entry.kind):
        return _made(entry, shows, language)
    # Its quotation marks are escaped in every text, so only a title without a name contains it.
    return _named(entry.payload, language) if _NAMELESS in entry.payload else entry.payload


def without_body(payload: str) -> str:
    """Return the payload without its body, for a push service that refused the whole."""
    message = json.loads(payload)
    message["notification"].pop("body", None)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def excerpt(text: str, length: int = BODY_LENGTH) -> str:
    """Return the first `length` characters, and `...` if more follow.

    The cut is at the end of a word if one ends within the last 20 of them, and never inside a grapheme cluster.
    """
    if len(text) <= length:
        return text
    end = end_of_word = 0
    for cluster in _CLUSTER.finditer(text, endpos=length + 64):
        if cluster.end() > length:
            break
        end = cluster.end()
        if text[end : end + 1].isspace() and not cluster.group().isspace():
            end_of_word = end
    if end_of_word > max(0, length - _LAST):
        end = end_of_word
    return f"{text[: end or length]}..."


def printable(text: str) -> str:
    """Return the text without control characters, which some systems show as boxes; keep line ends and tabs."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"))


@lru_cache(maxsize=1000)
def _named(payload: str, language: str) -> str:
    """Return the payload of a message without a name, with a title in the device's language."""
    message = json.loads(payload)
    message["notification"]["title"] = _anonymous(language)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _anonymous(language: str) -> str:
    with force_locale(language):
        name = gettext("Anonymous")
    return f"{name}:"


@lru_cache(maxsize=1000)
def _made(entry: Entry, shows: PreviewLevel, language: str) -> str:
    message = json.loads(entry.payload)
    if shows != PreviewLevel.ALL or summarised(entry.kind):
        message["notification"].pop("body", None)
    if title := _own_title(entry, shows, language):
        message["notification"] |= {"title": title, "lang": language}
    if entry.kind in NOTICES and "body" in message["notification"]:
        with force_locale(language):
            message["notification"]["body"] = browser_name.localized(message["notification"]["body"])
    if entry.kind == ANSWER.code:  # its address is a secret that must not be stored
        message["notification"]["navigate"] = private_links.finished(message["notification"]["navigate"])
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _own_title(entry: Entry, shows: PreviewLevel, language: str) -> str | None:
    """Return our own title, if the sender's name must not be shown or is not known."""
    with force_locale(language):
        if kind := summarised(entry.kind):
            return kind.summary_title(entry.counts)
        if shows == PreviewLevel.NOTHING or _is_titled(entry.kind):
            kind = _KINDS[entry.kind]
            return str(kind.discreet if shows == PreviewLevel.NOTHING and kind.discreet else kind.title)
    return _anonymous(language) if _NAMELESS in entry.payload else None


def _is_titled(code: str) -> bool:
    return code in _KINDS and _KINDS[code].is_titled


def name(text: str) -> str:
    """Return a stranger's name as a title can show it: on one line, and reordering nothing beside it; "" if empty."""
    return bidi.isolated(_LINE_ENDS.sub(" ", printable(text)))


def beginning(text: str, length: int = BODY_LENGTH) -> str:
    """Return the beginning of a stranger's text as a body can show it."""
    return bidi.isolated(excerpt(printable(text), length))


def _encode(notification: Notification) -> str:
    badge = {} if notification.app_badge is None else {"app_badge": notification.app_badge}
    message = {
        "web_push": 8030,
        "notification": {
            "title": notification.title,
            "body": notification.body,
            "navigate": notification.navigate,
            "tag": notification.tag,
            "dir": "auto",
            "data": receipts.EMPTY,
            **{name: address for name in ("image", "icon") if (address := getattr(notification, name))},
            **({"actions": [asdict(action) for action in notification.actions]} if notification.actions else {}),
            **badge,
        },
        **badge,  # where the specification has it; Safari's first versions looked inside
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
