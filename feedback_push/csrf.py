"""Protect against cross-site request forgery: check the request's origin first, then its token."""

import secrets
from datetime import timedelta
from enum import StrEnum
from urllib.parse import urlsplit

from flask import current_app, request, session
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError, CSRFProtect
from itsdangerous import BadData, URLSafeTimedSerializer

from feedback_push import secret_keys
from feedback_push.config import current_settings

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FIELD = "csrf_token"  # Flask-WTF's name for the form's field and for the session's key
_SALT = "wtf-csrf-token"  # also Flask-WTF's
_LONGEST_TOKEN = 300
_OLDEST_TOKEN = timedelta(days=14)  # of an ended session


class Cause(StrEnum):
    """The reason that a request was refused."""

    OTHER_SITE = "other-site"
    NO_COOKIE = "no-cookie"
    NO_TOKEN = "no-token"  # noqa: S105 - the name of a cause
    OTHER_SESSION = "other-session"
    NEW_KEY = "new-key"


_MESSAGES = {
    Cause.OTHER_SITE: _("The request came from a page of another site."),
    Cause.NO_COOKIE: _("Your browser did not send the cookie of this site. Please allow cookies for this site."),
    Cause.NO_TOKEN: _("The form was sent without a part that this site needs."),
    Cause.OTHER_SESSION: _("You have signed in or out in another tab, or the page is from an earlier visit."),
    Cause.NEW_KEY: _("This site has changed its key since you opened the page."),
}
# Flask-WTF tells these cases apart only by their messages.
_CAUSES = {
    "The CSRF token is missing.": Cause.NO_TOKEN,
    "The CSRF token is invalid.": Cause.NEW_KEY,
    "The CSRF tokens do not match.": Cause.OTHER_SESSION,
}


class Refused(CSRFError):  # type: ignore[misc]
    """A request that may be forged and is refused with 400."""

    def __init__(self, cause: Cause) -> None:
        super().__init__()
        self.cause = cause

    def message(self, next_step: str) -> str:
        """Return the cause followed by `next_step`, which depends on the page, in the reader's language."""
        return f"{_MESSAGES[self.cause]} {next_step}"

    @property
    def form_meta(self) -> dict[str, bool]:
        """The `meta` for a form that is shown again; a request from another site gets no token.

        The browser withheld the session cookie (SameSite=Lax), so a token would set a new cookie that replaces it.
        """
        return {"csrf": self.cause != Cause.OTHER_SITE}


class Protection(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's protection with a different origin check, and with causes.

    The library's own check refuses every https request without a Referer, which privacy tools remove.
    """

    def protect(self, apply_exemptions: bool = False) -> None:
        """Raise Refused for an unsafe method unless the origin and the token are valid; views may be exempt."""
        exempt = apply_exemptions and (not request.endpoint or self._is_exempt())
        if exempt or request.method not in current_app.config["WTF_CSRF_METHODS"]:
            return
        if not is_from_this_site():
            raise Refused(Cause.OTHER_SITE)
        try:
            super().protect()
        except CSRFError as error:
            raise Refused(_CAUSES.get(error.description) or _cause_without_session_token()) from None


def begin_token(account_id: int) -> None:
    """Give the session a new token that names the account on whose pages it stands."""
    session[_FIELD] = f"{secrets.token_hex(20)}.{account_id}"


def account_of_token() -> int | None:
    """Return the account on whose page the sent form stood, in this session or an earlier one; None if unknown.

    Only this site signs tokens, and an account's tokens stand only on pages that it was signed in to see. So a token
    proves, for 14 days and also after its session has ended, that no other site has made up the form.
    """
    sent = request.form.get(_FIELD, "")
    if len(sent) > _LONGEST_TOKEN:
        return None
    signer = URLSafeTimedSerializer(secret_keys.oldest_first(), salt=_SALT)
    try:
        token = signer.loads(sent, max_age=int(_OLDEST_TOKEN.total_seconds()))
    except BadData:
        return None
    account_id = token.rpartition(".")[2] if isinstance(token, str) and "." in token else ""
    return int(account_id) if account_id.isdecimal() else None


def is_from_this_site() -> bool:
    """Return whether a page of this site, or the user directly, sent the request.

    This follows Go's net/http.CrossOriginProtection, but also compares the scheme of Origin. A privacy tool or an
    in-app browser may hide the origin and send "null". Then, as without both headers, only the token decides.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site:
        return fetch_site in ("same-origin", "none")
    origin = request.headers.get("Origin", "null")
    return origin == "null" or origin in own_origins()


def own_origins() -> set[str]:
    """Return the origins of this site as this request's browser may send them."""
    settings = current_settings()
    # A proxy may listen on another port than SITE_URL says. The Host header has that port; its name was checked before.
    scheme = "https" if settings.https else request.scheme
    asked, site = urlsplit(f"{scheme}://{request.host}"), urlsplit(settings.site_url)
    return {
        _origin(asked.scheme, asked.hostname or "", asked.port),
        _origin(site.scheme, settings.site_host, site.port),
    }


def _origin(scheme: str, host: str, port: int | None) -> str:
    """Return an origin as browsers spell it: RFC 6454, section 6.2."""
    name = f"[{host}]" if ":" in host else host
    return f"{scheme}://{name}" if port in (None, _DEFAULT_PORTS.get(scheme)) else f"{scheme}://{name}:{port}"


def _cause_without_session_token() -> Cause:
    if current_app.config["SESSION_COOKIE_NAME"] not in request.cookies:
        return Cause.NO_COOKIE
    return Cause.OTHER_SESSION if session else Cause.NEW_KEY  # a cookie that cannot be read counts as empty
