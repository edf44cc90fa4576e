"""The feed of a topic on its page: its state, its last error, and the form that sets it."""

from typing import Any, NamedTuple

from flask_babel import lazy_gettext as _
from wtforms import Field, RadioField, StringField
from wtforms.validators import Length, Optional, ValidationError

from feedback_push import http_client, typed_text
from feedback_push.admin.topic_forms import TopicForm
from feedback_push.database import utcnow
from feedback_push.http_client import LARGEST_BODY, LONGEST_URL, Failure, Reason
from feedback_push.topics import feeds
from feedback_push.topics.feed_models import Feed
from feedback_push.topics.feed_reader import Fault
from feedback_push.topics.models import Topic
from feedback_push.typed_text import TypedForm, Visible

AUTOMATIC = "automatic"
_DRAFT = "draft"
_TOO_LONG = _("Please use at most %(max)s characters.")
PROBLEMS = {
    Reason.ADDRESS: _("This is not an address that can be read. Please enter one like https://example.org/feed.xml."),
    Reason.NOT_PUBLIC: _("The address is in a private network, from which this site reads nothing."),
    Reason.UNENCRYPTED: _("The address redirects from https to http. Such redirects are not followed."),
    Reason.REDIRECTS: _("The address redirects too often."),
    Reason.TOO_LARGE: _("The feed is larger than %(max)s MB."),
    Reason.TIMEOUT: _("The server did not answer in time."),
    Reason.UNKNOWN_HOST: _("The name of the server cannot be found."),
    Reason.CERTIFICATE: _("The server cannot prove who it is: its certificate is not valid."),
    Reason.CONNECTION: _("The server cannot be reached."),
    Reason.ANSWER: _("The answer of the server broke off or cannot be read."),
    Reason.PROXY: _("The proxy does not connect to the server."),
    Fault.GONE: _("The server says that the feed is gone for good (410)."),
    Fault.STATUS: _("The server answered with the error %(status)s."),
    Fault.EMPTY: _("The answer of the server is empty."),
    Fault.WEB_PAGE: _("There is a web page at this address, not a feed. The page may link to its feed."),
    Fault.NOT_A_FEED: _("The document at this address is not an RSS, Atom or JSON feed."),
    Fault.TOO_COMPLEX: _("The feed takes too much time to read."),
}


def _field(*validators: Any) -> StringField:
    filters = [typed_text.storable, typed_text.trimmed]
    return StringField(
        _("Address of the feed"), [*validators, Length(max=LONGEST_URL, message=_TOO_LONG)], filters=filters
    )


def _check(field: Field) -> None:
    """Spell the typed address as a URL, and refuse one that is never requested."""
    url = http_client.typed_url(field.data)
    try:
        http_client.check(url)
    except Failure as failure:
        raise ValidationError(problem(failure.reason)) from None
    field.data = url


class FeedForm(TypedForm):
    """The address of a feed, and what becomes of its new entries."""

    feed_url = _field(Visible(_("Please enter an address.")))
    feed_mode = RadioField(_("New entries"), default=AUTOMATIC, validate_choice=False)

    def __init__(self, feed: Feed | None = None) -> None:
        mode = _DRAFT if feed is not None and not feed.is_automatic else AUTOMATIC
        super().__init__(data={"feed_url": feed.url if feed else "", "feed_mode": mode})
        self.feed_mode.choices = [
            (AUTOMATIC, _("Send each to the followers")),
            (_DRAFT, _("Make a draft of each, which somebody sends")),
        ]

    def validate_feed_url(self, field: Field) -> None:
        """Refuse an address that is never requested."""
        _check(field)

    def validate_feed_mode(self, field: Field) -> None:
        """Refuse anything but the choices."""
        if field.data not in (AUTOMATIC, _DRAFT):
            raise ValidationError(_("Please choose from the list."))


class NewTopicForm(TopicForm):
    """The form for a new topic, which may have a feed from the start."""

    feed_url = _field(Optional())

    def validate_feed_url(self, field: Field) -> None:
        """Refuse an address that is never requested."""
        _check(field)


class FeedPanel(NamedTuple):
    """A topic's feed, or None; its last problem as a text, or an empty one; and the form that sets it."""

    feed: Feed | None
    problem: str
    is_being_read: bool
    form: FeedForm


def of(topic: Topic, form: FeedForm | None = None) -> FeedPanel:
    """Return the panel of a topic's feed, with the form as it was sent if it was refused."""
    feed = feeds.of(topic)
    if feed is None:
        return FeedPanel(None, "", is_being_read=False, form=form or FeedForm())
    now = utcnow()
    waits = feed.next_read_at is not None and feed.next_read_at <= now
    return FeedPanel(
        feed,
        problem(feed.last_error, feed.last_status) if feed.last_error else "",
        is_being_read=waits or (feed.claimed_until is not None and feed.claimed_until > now),
        form=form or FeedForm(feed),
    )


def problem(reason: str, status: int | None = None) -> str:
    """Return the text for a Fault or a Reason."""
    return str(PROBLEMS[Fault(reason) if reason in set(Fault) else Reason(reason)]) % {
        "max": LARGEST_BODY // 1024**2,
        "status": status,
    }
