"""The blueprint of the owner's part of the API: for programs with a key."""

from typing import Any

from flask_babel import gettext

from feedback_push import ids, security
from feedback_push.api import authentication
from feedback_push.api.operations import Operations
from feedback_push.extensions import csrf
from feedback_push.problems import Problem

PREFIX = f"{security.API}v1"
ID = "int"  # for a route; a number that is too large for an id gets 404 below, not the 405 of Werkzeug's `max`

blueprint = Operations(
    "api", __name__, url_prefix=PREFIX, description="For programs of the owner, which send an API key."
)
blueprint.after_request(security.no_store)
blueprint.after_request(authentication.add_limits)


def _refuse_large_ids(_endpoint: str | None, values: dict[str, Any] | None) -> None:
    if any(isinstance(value, int) and value > ids.LARGEST for value in (values or {}).values()):
        raise Problem(404, gettext("There is nothing at this address."))


blueprint.url_value_preprocessor(_refuse_large_ids)
csrf.exempt(blueprint)  # no cookie is read, so there is nothing to forge
