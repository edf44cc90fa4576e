"""Previews of a notification as browsers show it, each with the part of the texts that it has room for."""

from typing import NamedTuple
from urllib.parse import urlsplit

import regex
from flask_babel import lazy_gettext as _

from feedback_push import links
from feedback_push.push import notification

_CLUSTER = regex.compile(r"\X")


class Browser(NamedTuple):
    """A browser and the characters that it shows before somebody expands the notification.

    The figures are what senders have measured with Latin letters; wide ones take more room.
    """

    name: str
    label: object
    title: int
    body: int
    shows_picture: bool
    shows_icon: bool = True


BROWSERS = (
    Browser("chrome", _("Chrome on Windows"), 70, 140, shows_picture=True),
    Browser("firefox", _("Firefox on Windows"), 54, 200, shows_picture=False),
    Browser("safari", _("Safari on a Mac"), 49, 103, shows_picture=False, shows_icon=False),
    Browser("phone", _("Chrome on an Android phone"), 30, 65, shows_picture=True),
)


class Preview(NamedTuple):
    """A notification as one browser shows it."""

    browser: Browser
    title: str
    body: str
    picture_host: str  # "" if it shows no picture
    icon: str  # an address on this site; "": the site's own


def of(title: str, body: str, image_url: str, icon: str) -> list[Preview]:
    """Return the previews of a notification; the texts may be longer than it may be."""
    shown_title, shown_body = notification.name(title), notification.beginning(body, notification.LONGEST_NEWS)
    host = urlsplit(links.absolute(image_url) or "").hostname or ""
    return [
        Preview(
            browser,
            cut(shown_title, browser.title),
            cut(shown_body, browser.body),
            host if browser.shows_picture else "",
            icon if browser.shows_icon else "",
        )
        for browser in BROWSERS
    ]


def cut(text: str, most: int) -> str:
    """Return at most so many characters as people see them, the last one an ellipsis if there are more."""
    ends = [cluster.end() for _, cluster in zip(range(most + 1), _CLUSTER.finditer(text), strict=False)]
    return text if len(ends) <= most else f"{text[: ends[most - 2]].rstrip()}…"
