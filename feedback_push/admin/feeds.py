"""The feed of a topic: set its address, read it now, or remove it."""

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push.admin import feed_panel
from feedback_push.admin.feed_panel import FeedForm
from feedback_push.admin.pages import blueprint
from feedback_push.admin.topics import SAID, found, topic_page
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db
from feedback_push.topics import feeds


@blueprint.post("/topics/<slug>/feed")
@owners_only
def set_topic_feed(slug: str) -> ResponseReturnValue:
    """Save the address of a topic's feed and let a worker read it, or show the form again with what was typed."""
    if "feed_url" not in request.form:  # what a form leaves out keeps its value, but this is no form
        abort(400)
    sessions.lock_current(current_user)
    topic = found(slug)
    form = FeedForm(feeds.of(topic))
    if not form.validate():
        return topic_page(topic, feed_form=form), 422
    feeds.put(topic, form.feed_url.data or "", is_automatic=form.feed_mode.data == feed_panel.AUTOMATIC)
    audit.record(AuditEvent.FEED_SET, current_user, topic=topic.name)
    db.session.commit()
    feeds.wake()
    flash(gettext("The feed is saved."), SAID)
    return _back(slug)


@blueprint.post("/topics/<slug>/feed/read")
@owners_only
def read_topic_feed(slug: str) -> ResponseReturnValue:
    """Let a worker read a topic's feed now; no request waits for another server."""
    feed = feeds.of(found(slug)) or abort(404)
    feeds.read_soon(feed)
    db.session.commit()
    feeds.wake()
    return _back(slug)


@blueprint.post("/topics/<slug>/feed/remove")
@owners_only
def remove_topic_feed(slug: str) -> ResponseReturnValue:
    """Read a topic's feed no more; its broadcasts stay."""
    topic = found(slug)
    if feeds.of(topic) is not None:
        audit.record(AuditEvent.FEED_REMOVED, current_user, topic=topic.name)
        feeds.remove(topic)
        flash(gettext("The feed is removed."), SAID)
    db.session.commit()
    return _back(slug)


def _back(slug: str) -> ResponseReturnValue:
    return redirect(url_for("admin.topic", slug=slug, _anchor="feed"), 303)
