"""The audit log, for owners."""

from flask import request
from flask.typing import ResponseReturnValue

from feedback_push import ids
from feedback_push.admin.pages import blueprint, page
from feedback_push.auth import audit
from feedback_push.auth.roles import owners_only


@blueprint.get("/audit", endpoint="audit")
@owners_only
def show_audit() -> ResponseReturnValue:
    """Show the newest entries, or those before the cursor in `before`."""
    before = request.args.get("before", type=ids.parse)
    entries = audit.page(before)
    return page("admin/audit.html", page=entries, is_first=before is None, label=audit.label, origin=audit.origin)
