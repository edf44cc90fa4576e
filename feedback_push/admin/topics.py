"""The topics that visitors follow: list, add, change, order and delete them; a topic's own page."""

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user
from sqlalchemy.exc import IntegrityError

from feedback_push import ids, request_limits
from feedback_push.admin import feed_panel, fresh_authentication, topic_icons
from feedback_push.admin.feed_panel import FeedForm, NewTopicForm
from feedback_push.admin.pages import blueprint, page
from feedback_push.admin.topic_forms import TopicForm
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db, utcnow
from feedback_push.push import keys
from feedback_push.site_path import absolute_url
from feedback_push.topics import broadcasts, counts, feeds, history, topics
from feedback_push.topics.models import Topic
from feedback_push.topics.topics import TooManyTopics

SAID = "topic"  # the category of a text that the next page of a topic shows


@blueprint.get("/topics", endpoint="topics")
@owners_only
def show_topics() -> ResponseReturnValue:
    """Show all topics, and the form for a new one."""
    return _list_page(NewTopicForm())


@blueprint.post("/topics")
@owners_only
def add_topic() -> ResponseReturnValue:
    """Add a topic, or show the form again with what was typed."""
    form = NewTopicForm()
    form.suggest_slug(topics.find)
    if not form.validate():
        return _list_page(form), 422
    try:
        topic = topics.add(**form.values())
        if form.feed_url.data:
            feeds.put(topic, form.feed_url.data, is_automatic=True)
    except TooManyTopics:
        form.form_errors.append(gettext("There are %(max)d topics already. Delete one first.", max=topics.MOST_TOPICS))
    except IntegrityError:
        form.refuse_slug()
    if form.errors:
        db.session.rollback()
        return _list_page(form), 422
    audit.record(AuditEvent.TOPIC_ADDED, current_user, topic=topic.name)
    db.session.commit()
    if form.feed_url.data:
        feeds.wake()
    return redirect(url_for("admin.topic", slug=topic.slug), 303)


@blueprint.get("/topics/<slug>", endpoint="topic")
@owners_only
def show_topic(slug: str) -> ResponseReturnValue:
    """Show a topic with its followers, its feed, its drafts and its history."""
    return topic_page(found(slug))


def topic_page(topic: Topic, feed_form: FeedForm | None = None) -> str:
    """Return the page of a topic, with the form of its feed as it was sent if it was refused."""
    before = request.args.get("before", type=ids.parse)
    return page(
        "admin/topic.html",
        topic=topic,
        followers=counts.of_followers(topic),
        waiting=history.waiting(topic) if before is None else [],
        history=history.page(topic, before),
        is_first=before is None,
        allowed_at=_put_off_until(topic),
        follow_url=absolute_url("follow.show", slug=topic.slug),
        said=SAID,
        push_is_on=keys.cached().current is not None,
        panel=feed_panel.of(topic, feed_form),
    )


@blueprint.get("/topics/<slug>/edit", endpoint="edit_topic")
@owners_only
def show_topic_form(slug: str) -> ResponseReturnValue:
    """Show the form that changes a topic."""
    topic = found(slug)
    return _edit_page(topic, TopicForm(obj=topic))


@blueprint.post("/topics/<slug>/edit")
@owners_only
def change_topic(slug: str) -> ResponseReturnValue:
    """Save the changes to a topic, or show the form again with what was typed."""
    if "name" not in request.form:  # what a form leaves out keeps its value, but this is no form
        abort(400)
    topic = found(slug)
    form = TopicForm(obj=topic)
    form.suggest_slug(topics.find)
    if not form.validate():
        return _edit_page(topic, form), 422
    try:
        for name, value in form.values().items():
            setattr(topic, name, value)
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        form.refuse_slug()
        return _edit_page(found(slug), form), 422
    flash(gettext("The topic is saved."), SAID)
    return redirect(url_for("admin.topic", slug=topic.slug), 303)


@blueprint.post("/topics/<slug>/move")
@owners_only
def move_topic(slug: str) -> ResponseReturnValue:
    """Move a topic up or down in the list by one place."""
    steps = {"up": -1, "down": 1}
    by = steps.get(request.form.get("direction", "")) or abort(400)
    topics.move(found(slug), by)
    db.session.commit()
    flash(slug, "topic-moved")
    return redirect(url_for("admin.topics"), 303)


@blueprint.post("/topics/<slug>/icon")
@request_limits.takes_up_to(topic_icons.LARGEST_FORM)
@owners_only
def set_topic_icon(slug: str) -> ResponseReturnValue:
    """Store the picture that was sent as the topic's icon; without one, remove the icon."""
    topic = found(slug)
    sent = request.files.get("icon")
    content = sent.read(topic_icons.LARGEST + 1) if sent else b""
    if content and (problem := topic_icons.problem(content)):
        return _edit_page(topic, TopicForm(obj=topic), icon_problem=problem), 422
    if not content and "remove" not in request.form:
        problem = gettext("Please choose a picture.")
        return _edit_page(topic, TopicForm(obj=topic), icon_problem=problem), 422
    topic.icon, topic.icon_type = content or None, topic_icons.media_type(content)
    db.session.commit()
    flash(gettext("The icon is saved.") if content else gettext("The icon is removed."), SAID)
    return redirect(url_for("admin.topic", slug=slug), 303)


@blueprint.get("/topics/<slug>/icon")
@owners_only
def topic_icon(slug: str) -> ResponseReturnValue:
    """Return the icon of a topic."""
    topic = found(slug)
    content = topic.icon if topic.icon_type else abort(404)
    headers = {"Content-Type": topic.icon_type or "", "Content-Security-Policy": "default-src 'none'"}
    return content or b"", headers


@blueprint.post("/topics/<slug>/delete")
@owners_only
@fresh_authentication.required
def delete_topic(slug: str) -> ResponseReturnValue:
    """Delete a topic with its history; nothing more is sent to its followers."""
    topic = found(slug)
    audit.record(AuditEvent.TOPIC_REMOVED, current_user, topic=topic.name)
    topics.remove(topic)
    db.session.commit()
    flash(gettext("The topic is deleted."), SAID)
    return redirect(url_for("admin.topics"), 303)


def found(slug: str) -> Topic:
    """Return the topic with this slug, or answer 404."""
    return topics.find(slug) or abort(404)


def _list_page(form: NewTopicForm) -> str:
    return page(
        "admin/topics.html",
        topics=[(topic, counts.of_followers(topic)) for topic in topics.everything()],
        last_started=history.last_started(),
        form=form,
        most=topics.MOST_TOPICS,
        said=SAID,
    )


def _edit_page(topic: Topic, form: TopicForm, icon_problem: str | None = None) -> str:
    return page(
        "admin/topic_edit.html",
        topic=topic,
        form=form,
        icon_problem=icon_problem,
        icon_types=",".join(topic_icons.SIGNATURES),
        most_kilobytes=topic_icons.LARGEST // 1024,
    )


def _put_off_until(topic: Topic) -> object:
    """Return when the topic's cap allows the next broadcast; None if it allows one now."""
    now = utcnow()
    allowed_at = broadcasts.next_allowed(topic, now)
    return allowed_at if allowed_at > now else None
