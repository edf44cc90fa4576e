"""Answer errors with a page for people, JSON for scripts or problem details for the API; none reveals details of ours.

The page leads visitors back to the form, and administrators back to the inbox or to the sign-in page.
"""

import logging
from typing import Any

from flask import Flask, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm.exc import ObjectDeletedError, StaleDataError
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound, SecurityError, ServiceUnavailable

from feedback_push import csrf, language, problems
from feedback_push.concurrency_limit import Busy
from feedback_push.config import current_settings
from feedback_push.database import DATABASE_ERRORS, db
from feedback_push.problems import Problem
from feedback_push.security import is_for_programs, wants_json

_log = logging.getLogger(__name__)
_NOT_UNDERSTOOD = _("That did not work")
_OURS = (_("Something went wrong"), _("The fault is ours and has been logged."))
_THEIRS = (_NOT_UNDERSTOOD, _("This site cannot handle this request."))
_BUSY = (
    _("A moment, please"),
    _(
        "Too many people are doing this right now. If you typed anything, go back: it is still there. "
        "Please try again in a few seconds."
    ),
)
_TEXTS = {
    400: (
        _NOT_UNDERSTOOD,
        _("The page you came from was too old or incomplete. Open it again and try once more."),
    ),
    403: (_("Not allowed"), _("Only an owner of this site may see or do this. Please ask one of them.")),
    404: (_("Nothing here"), _("There is no page at this address.")),
    405: (_NOT_UNDERSTOOD, _("This address does not accept this kind of request.")),
    413: (
        _("Too long"),
        _("That is more than this site accepts at once. Go back: your text is still there. Please shorten it."),
    ),
    429: (_("A moment, please"), _("You did that too often in a short time. Please try again in a few minutes.")),
    503: (_("Back in a moment"), _("The site cannot reach its database right now. Please try again shortly.")),
}


def init_app(app: Flask) -> None:
    """Register handlers that answer every error in the form that the client expects."""
    app.log_exception = _log_exception  # type: ignore[method-assign]
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Problem, _problem)
    app.register_error_handler(SecurityError, _wrong_host)
    app.register_error_handler(csrf.Refused, csrf_refused)
    for kind in DATABASE_ERRORS:
        app.register_error_handler(kind, _database_error)
    app.register_error_handler(StaleDataError, _gone_meanwhile)
    app.register_error_handler(ObjectDeletedError, _gone_meanwhile)


def csrf_refused(error: csrf.Refused) -> ResponseReturnValue:
    """Explain why a request was refused and what to do; for pages that cannot show the typed text again."""
    return _answer(400, _NOT_UNDERSTOOD, error.message(gettext("Open the page again and try once more.")), [])


def _log_exception(exc_info: Any) -> None:
    # The rule rather than the path, which Flask logs: a private link must not be in a log.
    _log.error("exception on %s [%s]", request.url_rule, request.method, exc_info=exc_info)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return error.response
    code = error.code or 500
    title, text = _BUSY if isinstance(error, Busy) else _TEXTS.get(code, _OURS if code >= 500 else _THEIRS)
    return _answer(code, title, text, _kept_headers(error))


def _problem(error: Problem) -> ResponseReturnValue:
    return problems.answer(error.code, error.description or "", error.faults, error.headers)


def _answer(code: int, title: str, text: str, headers: list[tuple[str, str]]) -> ResponseReturnValue:
    if is_for_programs():
        return problems.answer(code, str(problems.DETAILS.get(code, text)), headers=dict(headers))
    if wants_json():
        return jsonify(error=str(text)), code, headers
    if not _is_for_administrators():
        return render_template("errors/visitor.html", code=code, title=title, text=text), code, headers
    # Ask first: it also chooses the language.
    template = {True: "inbox", False: "sign_in", None: "unknown"}[_is_signed_in()]
    return render_template(f"errors/{template}.html", code=code, title=title, text=text), code, headers


def _is_for_administrators() -> bool:
    # By its path, because an address without a page or with a wrong method has no blueprint.
    return f"{request.path}/".startswith((current_settings().admin_url, "/login/", "/logout/"))


def _is_signed_in() -> bool | None:
    """Return whether an administrator is signed in, and use their language; None if the database does not say."""
    if "database_failed" in g:
        return None
    try:
        if not current_user.is_authenticated:
            return False
        language.set_locale(current_user.language, current_user.time_zone)
    except SQLAlchemyError:
        db.session.rollback()
        return None
    return True


def _wrong_host(_error: SecurityError) -> ResponseReturnValue:
    text = "This site does not use this host name."
    if is_for_programs():
        return problems.answer(400, text)
    # Without a known host no URLs can be built, and a page needs them.
    return f"{text}\n", 400, {"Content-Type": "text/plain"}


def _database_error(error: SQLAlchemyError) -> ResponseReturnValue:
    _log.exception("database error")
    db.session.rollback()
    g.database_failed = True  # ask nothing more of it, which could take as long again
    # Both drivers raise OperationalError for a lost server, a locked file and a full disk.
    unreachable = isinstance(error, OperationalError | PoolTimeoutError)
    return _http_error(ServiceUnavailable() if unreachable else InternalServerError())


def _gone_meanwhile(_error: SQLAlchemyError) -> ResponseReturnValue:
    # Another request removed the row that this request was about to change or show.
    db.session.rollback()
    return _http_error(NotFound())


def _kept_headers(error: HTTPException) -> list[tuple[str, str]]:
    return [(name, value) for name, value in error.get_headers() if name in ("Allow", "Retry-After")]
