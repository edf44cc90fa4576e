"""Save the search that a list shows, and remove a saved one."""

from flask import abort, flash, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push import bidi
from feedback_push.admin import message_query
from feedback_push.admin.pages import ID, blueprint
from feedback_push.database import db
from feedback_push.feedback import saved_searches


@blueprint.post("/searches")
def save_search() -> ResponseReturnValue:
    """Save the search in the address under the typed name."""
    asked = message_query.from_request()
    name = saved_searches.name_of(request.form["name"])
    if not asked.query:
        abort(400)
    if not name:
        flash(gettext("Please enter a name."), "search-problem")
        return redirect(asked.at(), 303)
    try:
        saved_searches.save(current_user, name, asked.query)
    except saved_searches.TooMany:
        db.session.rollback()
        flash(gettext("You have %(max)d saved searches. Remove one first.", max=saved_searches.MOST), "search-problem")
    else:
        db.session.commit()
        flash(gettext("The search “%(name)s” is saved.", name=bidi.isolated(name)), "saved-search")
    return redirect(asked.at(), 303)


@blueprint.post(f"/searches/<{ID}:search_id>/remove")
def remove_search(search_id: int) -> ResponseReturnValue:
    """Remove one of the administrator's saved searches; the list stays as it is."""
    if not saved_searches.remove(current_user, search_id):
        abort(404)
    db.session.commit()
    flash(gettext("The saved search is removed."), "saved-search")
    return redirect(message_query.from_request().at(), 303)
