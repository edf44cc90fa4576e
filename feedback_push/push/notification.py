"""A Notification and its JSON: Declarative Web Push, small enough for every push service."""

import base64
import json
import unicodedata
from dataclasses import asdict, dataclass, replace
from hashlib import sha256

import regex

from feedback_push import bidi
from feedback_push.push import receipts

LARGEST_PAYLOAD = 3000  # bytes; RFC 8291 allows 3993, but some bridges re-encode
_LARGEST_UNSTAMPED = LARGEST_PAYLOAD - receipts.LONGEST_TOKEN
BODY_LENGTH = 120
_CLUSTER = regex.compile(r"\X")
_LINE_ENDS = regex.compile("[\n\t\u2028\u2029]+")


@dataclass(frozen=True)
class Action:
    """A button on a notification: its name for the service worker, its words, and the address it opens."""

    action: str
    title: str
    navigate: str


@dataclass(frozen=True)
class Notification:
    """What a browser shows; `navigate` is the absolute address that a click opens, `tag` replaces its like.

    `app_badge` is the number on the icon of an installed dashboard; without one the icon stays as it is.
    """

    title: str
    body: str
    navigate: str
    tag: str
    urgency: str = "high"
    app_badge: int | None = None
    actions: tuple[Action, ...] = ()

    @property
    def topic(self) -> str:
        """The RFC 8030 Topic of the tag: 32 base64url characters, a length that Apple accepts too."""
        return base64.urlsafe_b64encode(sha256(self.tag.encode()).digest())[:32].decode()

    def to_json(self) -> str:
        """The payload; the body gives way where it would be larger than LARGEST_PAYLOAD bytes with its receipt."""
        text = _encode(self)
        if len(text.encode()) <= _LARGEST_UNSTAMPED:
            return text
        if not self.body:
            raise ValueError("a notification without a body is still too large")
        half = len(self.body) // 2
        return replace(self, body=bidi.isolated(excerpt(self.body, half)) if half > 8 else "").to_json()


def without_body(payload: str) -> str:
    """The same payload without its body, for a push service that refused it."""
    message = json.loads(payload)
    message["notification"].pop("body", None)
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def excerpt(text: str, length: int = BODY_LENGTH) -> str:
    """The first `length` characters, and `...` where more followed; never cut inside what a reader sees as one."""
    if len(text) <= length:
        return text
    end = 0
    for cluster in _CLUSTER.finditer(text, endpos=length + 64):
        if cluster.end() > length:
            break
        end = cluster.end()
    return f"{text[: end or length]}..."


def printable(text: str) -> str:
    """The text without control characters, which some notification centres show as boxes; line ends stay."""
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cs"))


def name(text: str) -> str:
    """Return a stranger's name as a title can show it: on one line, and reordering nothing beside it."""
    return bidi.isolated(_LINE_ENDS.sub(" ", printable(text)))


def beginning(text: str) -> str:
    """Return the beginning of a stranger's text as a body can show it."""
    return bidi.isolated(excerpt(printable(text)))


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
            **({"actions": [asdict(action) for action in notification.actions]} if notification.actions else {}),
            **badge,
        },
        **badge,  # where the specification has it; Safari's first versions looked inside
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))
