"""The pages where visitors follow topics, the topics' icons and feeds, and the link for the owner's own pages."""

from collections.abc import Sequence

from flask import Blueprint, make_response, render_template, request
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from werkzeug.exceptions import NotFound

from feedback_push import branding, security, static_files
from feedback_push.database import utcnow
from feedback_push.site_path import absolute_url
from feedback_push.topics import atom, records, topics
from feedback_push.topics.models import Topic

MOST_ENTRIES = 50  # of a feed
_EMBED = "embed/follow.js"

blueprint = Blueprint("follow", __name__)


@blueprint.get("/follow/")
def index() -> ResponseReturnValue:
    """Show the public topics with a box for each."""
    return _page(topics.public())


@blueprint.get("/follow/<slug>")
def show(slug: str) -> ResponseReturnValue:
    """Show one topic alone, also one that is not public."""
    topic = _find(slug)
    return _hide(_page([topic], alone=topic), topic)


@blueprint.get("/follow/<slug>.atom")
def feed(slug: str) -> ResponseReturnValue:
    """Return the last broadcasts of a topic as an Atom feed."""
    topic = _find(slug)
    last = records.latest(topic, MOST_ENTRIES)
    place = atom.Place(
        branding.current().name,
        absolute_url("follow.feed", slug=slug),
        absolute_url("follow.show", slug=slug),
    )
    response = Response(atom.write(topic, last, place), mimetype=atom.MEDIA_TYPE)
    response.last_modified = atom.updated(topic, last)
    return _hide(_cached(response, seconds=300), topic)


@blueprint.get("/follow/<slug>/icon")
@security.picture  # type: ignore[untyped-decorator]
def icon(slug: str) -> ResponseReturnValue:
    """Return the icon of a topic, for its notifications and its box."""
    topic = _find(slug)
    if not topic.icon or not topic.icon_type:
        raise NotFound
    return _cached(Response(topic.icon, mimetype=topic.icon_type), seconds=3600)


@blueprint.get("/embed/follow.js")
def embed_script() -> ResponseReturnValue:
    """Return the script that defines `<feedback-follow>`, for pages of other sites."""
    return static_files.for_other_sites(_EMBED)


def _find(slug: str) -> Topic:
    topic = topics.find(slug) if topics.is_slug(slug) else None
    if topic is None:
        raise NotFound
    return topic


def _page(shown: Sequence[Topic], alone: Topic | None = None) -> Response:
    found, now = records.of(shown), utcnow()
    texts = {topic.id: records.text(found[topic.id], now) for topic in shown}
    page = make_response(render_template("visitors/follow.html", topics=shown, records=texts, alone=alone))
    return static_files.compressed(security.private(page))


def _hide(response: Response, topic: Topic) -> Response:
    """Keep a topic that is not public out of search engines."""
    if not topic.is_public:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


def _cached(response: Response, *, seconds: int) -> Response:
    response.headers["Cache-Control"] = f"public, max-age={seconds}"
    static_files.compressed(response).add_etag()
    response.make_conditional(request)
    return response
