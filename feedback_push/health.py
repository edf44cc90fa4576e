"""Serve the health checks: /healthz for this process, and /readyz for the database, the broker and a worker."""

import logging
from collections.abc import Callable
from threading import Lock

from flask import Blueprint, current_app, jsonify
from flask.typing import ResponseReturnValue
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from feedback_push import disk, security
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.disk import Space
from feedback_push.security import talisman

blueprint = Blueprint("health", __name__)
blueprint.after_request(security.no_store)
_log = logging.getLogger(__name__)
REFUSES = "does not accept messages"
_TIMEOUT = 2.0  # seconds for each question
_checking = Lock()


@blueprint.get("/healthz")
@talisman(force_https=False)  # type: ignore[untyped-decorator]
def healthz() -> ResponseReturnValue:
    """Answer 200 while this process serves."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@talisman(force_https=False)  # type: ignore[untyped-decorator]
def readyz() -> ResponseReturnValue:
    """Answer 200 if the database, the broker and a worker respond, else 503 with the problems."""
    warnings = {"warnings": {"disk": "little space is left"}} if disk.space() > Space.PLENTY else {}
    if problems := _problems():
        return jsonify(status="not ready", problems=problems, **warnings), 503
    return jsonify(status="ready", **warnings)


def _problems() -> dict[str, str]:
    """Return the problems by name; return the last result while another thread is checking.

    Otherwise strangers could make every thread wait for a service that does not respond.
    """
    if not _checking.acquire(blocking=False):
        last: dict[str, str] = current_app.extensions.get("health", {"readiness": "a check is in progress"})
        return last
    try:
        found = {name: problem for name, check in _CHECKS.items() if (problem := check())}
    finally:
        _checking.release()
    current_app.extensions["health"] = found
    return found


def _database() -> str | None:
    try:
        db.session.execute(text("SELECT version_num FROM alembic_version"))  # SQLite has to read the file for this
    except SQLAlchemyError:
        return "does not answer"
    finally:
        db.session.rollback()  # leave no transaction open during the other checks
    return None


def broker_problem() -> str | None:
    """Return why the broker cannot be used, or None; wait two seconds at most for each answer."""
    settings = current_settings()
    client = Redis.from_url(
        settings.redis_client_url,
        socket_connect_timeout=_TIMEOUT,
        socket_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),  # retries take seconds, and the prober would time out
    )
    try:
        # A broker that is full, or cannot save, answers a ping but accepts no message.
        client.set(f"{settings.redis_prefix}readiness", 1, ex=10)
    except ResponseError:
        return REFUSES
    except RedisError:
        return "does not answer"
    finally:
        client.close()
    return None


def _worker() -> str | None:
    if broker_problem():
        return "cannot be checked without the broker"
    try:
        answers = current_app.extensions["celery"].control.ping(timeout=_TIMEOUT, limit=1)
    except Exception as error:  # noqa: BLE001 - any error of the broker's client must give 503, not 500
        _log.warning("could not check the workers (%s)", type(error).__name__)
        return "cannot be checked: the broker fails"
    return None if answers else "no worker responds"


_CHECKS: dict[str, Callable[[], str | None]] = {"database": _database, "broker": broker_problem, "worker": _worker}
