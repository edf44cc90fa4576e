"""The lists of messages, the page of one message, and the messages that arrive while a page is open."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import abort, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext, pgettext
from flask_login import current_user
from sqlalchemy import Row

from feedback_push import ids
from feedback_push.admin import (
    capacity,
    checklist,
    conversation,
    excerpts,
    history,
    labels,
    message_query,
    webhook_labels,
)
from feedback_push.admin.message_query import MessageQuery
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import accounts
from feedback_push.database import db
from feedback_push.feedback import form_words, inbox, lists, same_sender, saved_searches, site_forms, spam_reasons, tags
from feedback_push.feedback.form_models import RatingScale
from feedback_push.feedback.forms import AnswerForm
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push import preferences

_OVERLAP = 20  # ids: of two messages that arrive together, the later one may become visible first


@blueprint.get("/", endpoint="inbox")
def show_inbox() -> ResponseReturnValue:
    """Show the newest messages of a list, or those before the cursor in `before`."""
    asked = message_query.from_request()
    found = lists.page(asked.filter, asked.before)
    return page(
        "admin/inbox.html",
        shown=asked,
        page=found,
        results=_results(asked, found) if asked.is_narrowed else None,
        list_names=_list_names(),
        counts=lists.counts(),
        counted=_counted,
        unread_label=_unread_label(lists.unread()),
        excerpt=excerpts.excerpt,
        pieces=excerpts.pieces,
        marked=excerpts.marked,
        searches=saved_searches.of(current_user),
        tags_of=tags.of_row,
        about=partial(labels.about, form_names=site_forms.names()),
        choices=_choices(asked),
        spam_label=spam_reasons.label,
        all_selected=request.args.get("select") == "all",
        quiet_until=preferences.quiet_until(current_user),
        capacity=capacity.lines(),
        steps=checklist.steps,  # called by the template where the inbox is empty
    )


@blueprint.get(f"/messages/<{ID}:message_id>", endpoint="message")
def show_message(message_id: int) -> ResponseReturnValue:
    """Show a message with its delivery history, and mark it as read. A notification opens this page."""
    message = inbox.find(message_id) or abort(404)
    inbox.mark_read(message)
    db.session.commit()
    return message_page(message)


def message_page(
    message: Message, *, tag_typed: str = "", tag_problem: str | None = None, form: AnswerForm | None = None
) -> str:
    """Return the page of a message; after a tag or a reply was refused, with the typed text and the reason."""
    asked = message_query.from_request()
    newer, older = lists.neighbours(asked.filter, message.id)
    return page(
        "admin/message.html",
        message=message,
        tag_typed=tag_typed,
        tag_problem=tag_problem,
        spam_label=spam_reasons.label(message.spam_reason),
        history=history.of_message(message),
        sent=webhook_labels.of_message(message),
        conversation=conversation.of(message),
        form=form or conversation.new_form(),
        shown=asked,
        about=labels.about(message, site_forms.names()),
        list_name=_list_names()[asked.filter.list],
        list_names=_list_names(),
        all_tags=tags.names(),
        administrators=accounts.list_all(),
        others=_others(message, asked),
        newer=_address(newer, asked),
        older=_address(older, asked),
    )


@blueprint.get("/news")
def news() -> ResponseReturnValue:
    """Return the message counts, and the messages of a list that came after the message `after`, for an open page."""
    asked, after = message_query.from_request(), request.args.get("after", type=ids.parse)
    rows = [] if after is None else lists.since(asked.filter, after - _OVERLAP)
    come = sum(row.id > (after or 0) for row in rows)
    counts, names = lists.counts(), site_forms.names()
    return jsonify(
        unread=counts["new"],
        unreadLabel=_unread_label(counts["new"]),
        counts={name: _counted(count) for name, count in counts.items()},
        said=ngettext("%(num)d new message", "%(num)d new messages", come) if come else "",
        messages=[_as_json(row, asked, names) for row in rows],
    )


def _others(message: Message, asked: MessageQuery) -> dict[str, Any]:
    """Return the other messages from the same e-mail address, each with its address, and a text for their number."""
    found = same_sender.of(message)
    return {
        "messages": [(row, _address(row.id, asked)) for row in found.messages],
        "number": _counted(found.total),
        "address": url_for("admin.inbox", list="all", person=message.submitter_email),
    }


def _counted(count: int) -> str:
    """Return a number of messages as a short text."""
    return f"{lists.MOST_COUNTED}+" if count >= lists.MOST_COUNTED else str(count)


def _unread_label(count: int) -> str:
    if count >= lists.MOST_COUNTED:
        return str(gettext("1000 or more unread"))
    return str(ngettext("%(num)d unread", "%(num)d unread", count))


def _choices(asked: MessageQuery) -> dict[str, dict[str, str]]:
    """Return the forms, categories and ratings to choose from, by the parameter of the address, with their names."""
    all_forms, chosen = site_forms.list_all(), asked.filter
    categories = [form_words.stored(each) for form in all_forms for each in form.categories] + [chosen.category]
    ratings = [value for form in all_forms for value in RatingScale(form.rating).values] + [chosen.rating]
    names = {form.key: form.name for form in all_forms} if len(all_forms) > 1 else {}
    return {
        "form": names | ({chosen.form: names.get(chosen.form, chosen.form)} if chosen.form else {}),
        "category": {each: each for each in categories if each},
        "rating": {each: form_words.rating(each) for each in ratings if each},
    }


def _as_json(row: Row[Any], asked: MessageQuery, names: Mapping[str, str]) -> dict[str, Any]:
    return {
        "about": labels.about(row, names),
        "id": row.id,
        "name": excerpts.pieces(labels.sender(row.submitter_name), asked.filter.words),
        "excerpt": excerpts.excerpt(row.beginning, asked.filter.words),
        "at": row.created_at.isoformat(timespec="seconds"),
        "address": _address(row.id, asked),
        "isNew": row.state == MessageState.NEW,
    }


def _address(message_id: int | None, asked: MessageQuery) -> str | None:
    return None if message_id is None else asked.at("admin.message", message_id=message_id)


def _results(asked: MessageQuery, shown: lists.Page) -> str:
    """Return the number of messages found, and the list that was searched, as a text."""
    complete = shown.is_first and shown.older is None
    count = len(shown.messages) if complete else lists.count(asked.filter)
    found = _counted(count)
    if asked.filter.list == lists.ALL:
        return str(ngettext("%(found)s result everywhere", "%(found)s results everywhere", count, found=found))
    name = _list_names()[asked.filter.list]
    words = ngettext("%(found)s result in %(list)s", "%(found)s results in %(list)s", count, found=found, list=name)
    return str(words)


def _list_names() -> dict[str, str]:
    names = {
        "inbox": gettext("Inbox"),
        "new": pgettext("list of messages", "New"),
        "answered": gettext("Answered"),
        "archived": gettext("Archived"),
        "spam": gettext("Spam"),
        lists.DELETED: gettext("Deleted"),
        lists.ALL: gettext("All messages"),
    }
    return {name: names[name] for name in lists.NAMES}
