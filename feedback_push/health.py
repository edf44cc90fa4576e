"""Health: /healthz says that this process serves, /readyz that database, broker and a worker answer."""

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
from feedback_push.database import db
from feedback_push.disk import Space
from feedback_push.security import talisman

blueprint = Blueprint("health", __name__)
blueprint.after_request(security.no_store)
_log = logging.getLogger(__name__)
_TIMEOUT = 2.0  # seconds for each question
_asking = Lock()


@blueprint.get("/healthz")
@talisman(force_https=False)  # type: ignore[untyped-decorator]
def healthz() -> ResponseReturnValue:
    """Answer 200 for as long as this process serves."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@talisman(force_https=False)  # type: ignore[untyped-decorator]
def readyz() -> ResponseReturnValue:
    """Answer 200 when database, broker and a worker answer, else 503 and what is wrong."""
    warnings = {"warnings": {"disk": "little space is left"}} if disk.space() > Space.PLENTY else {}
    if problems := _problems():
        return jsonify(status="not ready", problems=problems, **warnings), 503
    return jsonify(status="ready", **warnings)


def _problems() -> dict[str, str]:
    """What is wrong, by one thread at a time: else strangers could have every thread wait for what does not answer."""
    if not _asking.acquire(blocking=False):
        last: dict[str, str] = current_app.extensions.get("health", {"readiness": "is just being asked for"})
        return last
    try:
        found = {name: words for name, ask in _QUESTIONS.items() if (words := ask())}
    finally:
        _asking.release()
    current_app.extensions["health"] = found
    return found


def _database() -> str | None:
    try:
        db.session.execute(text("SELECT version_num FROM alembic_version"))  # which SQLite cannot answer by itself
    except SQLAlchemyError:
        return "does not answer"
    finally:
        db.session.rollback()  # no transaction is open while the other questions wait for their answers
    return None


def _broker() -> str | None:
    settings = current_app.extensions["settings"]
    client = Redis.from_url(
        settings.redis_client_url,
        socket_connect_timeout=_TIMEOUT,
        socket_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),  # or it would go on for seconds, and whoever probes has given up by then
    )
    try:
        # A broker that is full, or cannot save, answers a ping and takes no message.
        client.set(f"{settings.redis_prefix}readiness", 1, ex=10)
    except ResponseError:
        return "takes no messages"
    except RedisError:
        return "does not answer"
    finally:
        client.close()
    return None


def _worker() -> str | None:
    if _broker():
        return "cannot be asked without the broker"
    try:
        answers = current_app.extensions["celery"].control.ping(timeout=_TIMEOUT, limit=1)
    except Exception as error:  # noqa: BLE001 - whatever the broker's client raises, the answer is 503 and not 500
        _log.warning("no worker could be asked (%s)", type(error).__name__)
        return "cannot be asked: the broker fails"
    return None if answers else "no worker answers"


_QUESTIONS: dict[str, Callable[[], str | None]] = {"database": _database, "broker": _broker, "worker": _worker}
