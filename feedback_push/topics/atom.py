"""Write the broadcasts of a topic as an Atom feed (RFC 4287), for people who cannot or do not want to get pushes."""

import re
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from xml.etree import ElementTree as ET

from feedback_push import bidi
from feedback_push.database import utcnow
from feedback_push.push import notification
from feedback_push.topics.models import Broadcast, Topic

MEDIA_TYPE = "application/atom+xml"
_ATOM = "http://www.w3.org/2005/Atom"
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2


class Place(NamedTuple):
    """The name of the site, and the addresses of the feed and of the page where people follow its topic."""

    site_name: str
    feed_url: str
    page_url: str


def updated(topic: Topic, newest_first: Sequence[Broadcast]) -> datetime:
    """Return when the feed changed last."""
    times = [when for broadcast in newest_first[:1] if (when := broadcast.started_at)]
    return max([topic.created_at, *times])


def write(topic: Topic, newest_first: Sequence[Broadcast], place: Place) -> bytes:
    """Return the feed as a UTF-8 document; all texts are plain texts, whatever is in them."""
    feed = ET.Element("feed", xmlns=_ATOM)
    _add(feed, "id", _urn("topic", topic.id, topic.created_at))
    _add(feed, "title", f"{notification.name(topic.name)} · {place.site_name}")
    if topic.description:
        _add(feed, "subtitle", bidi.isolated(topic.description))
    _add(feed, "updated", _timestamp(updated(topic, newest_first)))
    _add(ET.SubElement(feed, "author"), "name", place.site_name)
    ET.SubElement(feed, "link", rel="self", type=MEDIA_TYPE, href=place.feed_url)
    ET.SubElement(feed, "link", rel="alternate", type="text/html", href=place.page_url)
    for broadcast in newest_first:
        _add_entry(feed, broadcast, place)
    document: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return document


def _add_entry(feed: ET.Element, broadcast: Broadcast, place: Place) -> None:
    entry, when = ET.SubElement(feed, "entry"), _timestamp(broadcast.started_at or utcnow())
    _add(entry, "id", _urn("broadcast", broadcast.id, broadcast.created_at))
    _add(entry, "title", notification.name(broadcast.title))
    _add(entry, "published", when)
    _add(entry, "updated", when)
    _add(entry, "content", bidi.isolated(broadcast.body))
    ET.SubElement(entry, "link", rel="alternate", href=_allowed(broadcast.url or place.page_url))
    if broadcast.image_url:
        ET.SubElement(entry, "link", rel="enclosure", href=_allowed(broadcast.image_url))


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = _allowed(text)


def _allowed(text: str) -> str:
    """Return the text without the characters that XML cannot contain in any form."""
    return _NOT_IN_XML.sub("", text)


def _urn(kind: str, row_id: int, created_at: datetime) -> str:
    """Return an id that stays the same if the site moves or the topic gets another name."""
    return uuid.uuid5(uuid.NAMESPACE_OID, f"feedback-push {kind} {row_id} {created_at.isoformat()}").urn


def _timestamp(when: datetime) -> str:
    return when.isoformat(timespec="seconds")
