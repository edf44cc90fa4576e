"""The audit log, for every administrator."""

from flask import request
from flask.typing import ResponseReturnValue

from feedback_push import ids
from feedback_push.admin.pages import blueprint, page
from feedback_push.auth import audit


@blueprint.get("/audit", endpoint="audit")
def show_audit() -> ResponseReturnValue:
    """Show the newest entries, or those before the cursor in `before`."""
    before = request.args.get("before", type=ids.parse)
    entries = audit.page(before)
    return page("admin/audit.html", page=entries, is_first=before is None, label=audit.label, origin=audit.origin)
