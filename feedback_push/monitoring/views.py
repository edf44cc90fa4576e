"""Serve /metrics for Prometheus; without METRICS_TOKEN there is no such page."""

import hmac

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue

from feedback_push import security
from feedback_push.config import current_settings
from feedback_push.security import talisman

_LONGEST_HEADER = 1000
blueprint = Blueprint("monitoring", __name__)
blueprint.after_request(security.no_store)


@blueprint.get("/metrics")
@talisman(force_https=False)  # type: ignore[untyped-decorator]
def metrics() -> ResponseReturnValue:
    """Answer with all metrics in the format that the scraper asks for, if it sends the token."""
    token = current_settings().metrics_token
    if not token:
        abort(404)
    sent = request.headers.get("Authorization", "")[:_LONGEST_HEADER]
    if not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
        headers = {"WWW-Authenticate": "Bearer", "Content-Type": "text/plain"}
        return "Send METRICS_TOKEN as a bearer token.\n", 401, headers
    # Here, because it takes a megabyte in each process, and most sites have no metrics.
    from prometheus_client.exposition import choose_encoder  # noqa: PLC0415

    from feedback_push.monitoring.collector import Collector  # noqa: PLC0415

    encode, content_type = choose_encoder(request.headers.get("Accept", "")[:_LONGEST_HEADER])
    return encode(Collector()), 200, {"Content-Type": content_type}
