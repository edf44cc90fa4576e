"""Protection against cross-site request forgery: the request's origin decides, then its token."""

from enum import StrEnum
from urllib.parse import urlsplit

from flask import current_app, request, session
from flask_babel import lazy_gettext as _
from flask_wtf.csrf import CSRFError, CSRFProtect

from feedback_push.config import Settings

_DEFAULT_PORTS = {"http": 80, "https": 443}


class Cause(StrEnum):
    """Why a request was refused."""

    OTHER_SITE = "other-site"
    NO_COOKIE = "no-cookie"
    NO_TOKEN = "no-token"  # noqa: S105 - the name of a cause
    OTHER_SESSION = "other-session"
    NEW_KEY = "new-key"


_SENTENCES = {
    Cause.OTHER_SITE: _("This was sent from a page of another site."),
    Cause.NO_COOKIE: _("Your browser did not send the cookie of this site. Please allow cookies for this site."),
    Cause.NO_TOKEN: _("A part of the page was missing when it was sent."),
    Cause.OTHER_SESSION: _("You have signed in or out in another tab, or the page is from an earlier visit."),
    Cause.NEW_KEY: _("This site has changed its key since you opened the page."),
}
# In the words of Flask-WTF, which has no other sign of them.
_CAUSES = {
    "The CSRF token is missing.": Cause.NO_TOKEN,
    "The CSRF token is invalid.": Cause.NEW_KEY,
    "The CSRF tokens do not match.": Cause.OTHER_SESSION,
}


class Refused(CSRFError):  # type: ignore[misc]
    """Refuse a request that may be forged: 400."""

    def __init__(self, cause: Cause) -> None:
        super().__init__()
        self.cause = cause

    def words(self, next_step: str) -> str:
        """Return the cause and what to do next, in the reader's language; the latter depends on the page."""
        return f"{_SENTENCES[self.cause]} {next_step}"

    @property
    def form_meta(self) -> dict[str, bool]:
        """Return the `meta` for a form that is shown again: another site's request gets no token.

        Its browser has kept the session cookie back (SameSite=Lax); a token would bring a new one in its place.
        """
        return {"csrf": self.cause != Cause.OTHER_SITE}


class Protection(CSRFProtect):  # type: ignore[misc]
    """Flask-WTF's protection with another check of where a request comes from, and with causes.

    The library's own check refuses every https request without a Referer, which privacy tools leave out.
    """

    def protect(self, apply_exemptions: bool = False) -> None:
        """Raise Refused for an unsafe method unless origin and token are right; views may be exempt."""
        exempt = apply_exemptions and (not request.endpoint or self._is_exempt())
        if exempt or request.method not in current_app.config["WTF_CSRF_METHODS"]:
            return
        if not is_from_this_site():
            raise Refused(Cause.OTHER_SITE)
        try:
            super().protect()
        except CSRFError as error:
            raise Refused(_CAUSES.get(error.description) or _cause_without_session_token()) from None


def is_from_this_site() -> bool:
    """Return whether a page of this site, or the reader's own hand, sent the request.

    Follow Go's net/http.CrossOriginProtection, but compare the scheme of Origin, too.
    Origin is "null" where a privacy tool or an in-app browser hides it: then, as without both, the token decides.
    """
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site:
        return fetch_site in ("same-origin", "none")
    origin = request.headers.get("Origin", "null")
    return origin == "null" or origin in _own_origins(current_app.extensions["settings"])


def _own_origins(settings: Settings) -> set[str]:
    # Where a proxy listens at another port than SITE_URL says, the Host header knows it; its name has been checked.
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
