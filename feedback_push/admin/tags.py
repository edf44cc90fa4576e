"""Put tags on a message and take them off; the page of all tags, where they are renamed and removed."""

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push.admin import message_query
from feedback_push.admin.messages import message_page
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db
from feedback_push.feedback import inbox, tags
from feedback_push.feedback.models import Tag


@blueprint.get("/tags", endpoint="tags")
def show_tags() -> ResponseReturnValue:
    """Show all tags with the numbers of their messages."""
    return page("admin/tags.html", tags=tags.list_all(), longest=tags.LONGEST)


@blueprint.post(f"/messages/<{ID}:message_id>/tags")
def add_tags(message_id: int) -> ResponseReturnValue:
    """Put the typed tags on a message."""
    typed = request.form["tag"]
    if not inbox.lock(message_id):
        abort(404)
    if problem := _problem(message_id, typed):
        db.session.rollback()
        message = inbox.find(message_id) or abort(404)
        return message_page(message, tag_typed=typed[: tags.LONGEST_TYPED], tag_problem=problem), 422
    db.session.commit()
    return _back(message_id)


@blueprint.post(f"/messages/<{ID}:message_id>/tags/remove")
def take_off_tag(message_id: int) -> ResponseReturnValue:
    """Take a tag off a message."""
    name = request.form["tag"]
    if not inbox.lock(message_id):
        abort(404)
    tags.take_off(message_id, name)
    db.session.commit()
    return _back(message_id)


@blueprint.post(f"/tags/<{ID}:tag_id>/rename")
def rename_tag(tag_id: int) -> ResponseReturnValue:
    """Rename a tag on all messages; a name that another tag has joins the two."""
    tag = _found(tag_id)
    names, problem = _one_name(request.form["name"])
    if problem:
        flash(problem, "tag-problem")
    elif names != [tag.name]:
        audit.record(AuditEvent.TAG_RENAMED, current_user, before=tag.name, tag=names[0])
        tags.rename(tag, names[0])
    db.session.commit()
    return redirect(url_for("admin.tags"), 303)


@blueprint.post(f"/tags/<{ID}:tag_id>/remove")
@owners_only
def remove_tag(tag_id: int) -> ResponseReturnValue:
    """Remove a tag from all messages."""
    tag = _found(tag_id)
    audit.record(AuditEvent.TAG_REMOVED, current_user, tag=tag.name)
    tags.remove(tag)
    db.session.commit()
    return redirect(url_for("admin.tags"), 303)


def _problem(message_id: int, typed: str) -> str | None:
    """Put the typed tags on a message, or return the reason why that cannot be."""
    try:
        tags.add(message_id, tags.read(typed))
    except ValueError:
        return str(gettext("A tag has at most %(max)d characters.", max=tags.LONGEST))
    except tags.TooManyOnMessage:
        return str(gettext("A message has at most %(max)d tags.", max=tags.MOST_PER_MESSAGE))
    except tags.TooMany:
        return str(gettext("There are %(max)d tags already. Remove one first.", max=tags.MOST))
    return None


def _one_name(typed: str) -> tuple[list[str], str | None]:
    """Return the typed names of tags, and the reason why they are not one name, or None."""
    try:
        names = tags.read(typed)
    except ValueError:
        return [], str(gettext("A tag has at most %(max)d characters.", max=tags.LONGEST))
    if not names:
        return [], str(gettext("Please enter a name."))
    return names, str(gettext("Please enter one name only; a comma ends a tag.")) if len(names) > 1 else None


def _found(tag_id: int) -> Tag:
    return tags.find(tag_id) or abort(404)


def _back(message_id: int) -> ResponseReturnValue:
    return redirect(message_query.from_request().at("admin.message", message_id=message_id, _anchor="tag"), 303)
