"""Set security headers, cookies, trusted hosts and trusted proxies."""

import hmac
import re
from collections.abc import Callable
from datetime import timedelta
from urllib.parse import quote, urlsplit

from flask import Flask, Request, g, request
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_talisman import Talisman
from werkzeug.datastructures import ImmutableMultiDict
from werkzeug.exceptions import SecurityError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.utils import cached_property

from feedback_push import request_limits, secret_keys
from feedback_push.config import Settings, current_settings
from feedback_push.request_limits import LARGEST_BODY, MOST_FIELDS, LimitedRequest
from feedback_push.setting_validators import is_loopback

API = "/api/"
_KEPT_IN_URLS = "!$&'()*+,/:;=?@%"  # by quote; % stays, so that nothing is encoded twice
_DEFAULT_PORTS = {"http": 80, "https": 443}
_USUAL_PORTS = {"http": 8000, "https": 443}  # for http the port of `make run`
_LONGEST_TARGET = 2048  # characters
_YEAR = 365 * 86400
# Allow nothing, then add only what our pages need. Every script needs the nonce of its page, whatever its source.
_CONTENT_SECURITY_POLICY = {
    "default-src": "'none'",
    "script-src": "",
    "style-src": "'self'",
    "img-src": "'self' data:",  # data: for the pictures in base.css
    "worker-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "feedback-push",  # the name in admin/subscription-sync.js, for the worker's address
}
# Every feature that a browser can deny to a page, except writing to the clipboard, which the dashboard may use, and
# bluetooth, a name that Chromium on Linux does not know and logs as an error. Passkeys are for pages of this site only,
# which is what browsers do where nothing is said.
_NOT_USED = """
    accelerometer aria-notify autoplay browsing-topics camera captured-surface-control clipboard-read
    compute-pressure cross-origin-isolated digital-credentials-create digital-credentials-get display-capture
    encrypted-media fullscreen gamepad geolocation gyroscope hid identity-credentials-get idle-detection keyboard-map
    language-detector language-model local-fonts local-network local-network-access loopback-network magnetometer
    microphone midi on-device-speech-recognition otp-credentials payment picture-in-picture
    private-state-token-issuance private-state-token-redemption screen-wake-lock
    serial speaker-selection storage-access summarizer sync-xhr translator usb window-management
    xr-spatial-tracking
"""
_PERMISSIONS_POLICY = dict.fromkeys(_NOT_USED.split(), "()")

# For its decorator: each application has an instance of its own, which keeps the settings. A view keeps the options of
# its first request for all applications of the process, so state what differs between sites: `force_https`.
talisman = Talisman()
# An SVG that is opened directly is a document. It may style itself and do nothing else.
picture = talisman(
    content_security_policy={
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "sandbox": "",
    },
    content_security_policy_nonce_in=[],
    force_https=False,
)


class _Request(LimitedRequest):
    """A request with URLs in ASCII; Werkzeug would decode the host by IDNA 2003, which fails on newer names."""

    @cached_property
    def cookies(self) -> ImmutableMultiDict[str, str]:
        """The cookies; none for the API, which another site's page may ask."""
        return ImmutableMultiDict() if is_for_programs(self) else super().cookies

    @cached_property
    def url(self) -> str:
        query = quote(self.query_string, safe=_KEPT_IN_URLS)
        return f"{self.base_url}?{query}" if query else self.base_url

    @cached_property
    def base_url(self) -> str:
        return self.root_url + quote(self.path.lstrip("/"), safe=_KEPT_IN_URLS)

    @cached_property
    def root_url(self) -> str:
        return self.host_url + quote(f"{self.root_path.strip('/')}/".lstrip("/"), safe=_KEPT_IN_URLS)

    @cached_property
    def host_url(self) -> str:
        return f"{self.scheme}://{self.host}/"


class _Sessions(SecureCookieSessionInterface):
    """Sessions in cookies; the API has none, and code that writes to one there fails."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return None if is_for_programs(request) else super().open_session(app, request)


def init_app(app: Flask) -> None:
    """Apply the policy; call this before any other extension's init_app, so that its error pages also have a nonce."""
    settings = current_settings(app)
    app.request_class = _Request
    app.add_template_global(requested_path)
    app.session_interface = _Sessions()
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SECRET_KEY_FALLBACKS=[settings.secret_key_previous] if settings.secret_key_previous else None,
        SESSION_COOKIE_NAME=cookie_name(settings, "session"),
        REMEMBER_COOKIE_NAME=cookie_name(settings, "remember_token"),
        REMEMBER_COOKIE_PATH=cookie_path(settings),
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=LARGEST_BODY,
        MAX_FORM_PARTS=MOST_FIELDS,
        REMEMBER_COOKIE_DURATION=timedelta(days=14),
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=settings.https,
    )
    app.before_request(_only_for_hosts(_own_hosts(settings)))  # before anything redirects
    app.after_request(_widen_form_action)  # functions that are registered later, such as Talisman's, run before it
    Talisman(
        app,
        content_security_policy=_CONTENT_SECURITY_POLICY,
        content_security_policy_nonce_in=["script-src"],
        # Without a known number of proxies, any client could claim that it uses https.
        force_https=settings.https and settings.trusted_proxies > 0,
        strict_transport_security=settings.https,
        strict_transport_security_max_age=_YEAR,
        # The operator may serve other sites under this domain, and they might have no certificate.
        strict_transport_security_include_subdomains=False,
        session_cookie_secure=settings.https,
        session_cookie_samesite="Lax",
        frame_options="DENY",
        permissions_policy=_PERMISSIONS_POLICY,
        referrer_policy="same-origin",  # no-referrer would also hide the origin of our own forms
    )
    # After Talisman, so that a refusal has a nonce, and before anything reads the body.
    app.before_request(request_limits.limit_body)
    app.after_request(_isolate)
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def cookie_name(settings: Settings, name: str) -> str:
    """Return the name of one of this site's cookies.

    With `__Host-`, a browser accepts it only from this exact host, over https, and only for all its paths. So a site
    under a path uses `__Secure-`. Browsers share cookies between all ports of a host, so the name includes the port,
    unless it is the usual one of the scheme. It includes the path, because a site also gets the cookies of the paths
    above its own.
    """
    address = urlsplit(settings.site_url)
    port = address.port or _DEFAULT_PORTS[address.scheme]
    tag = "" if port == _USUAL_PORTS[address.scheme] else f"_{port}"
    prefix = ("__Secure-" if settings.site_path else "__Host-") if settings.https else ""
    return f"{prefix}{name}{tag}{settings.site_path.replace('/', '_')}"


def cookie_path(settings: Settings) -> str:
    """Return the path of this site's cookies, which the rest of the origin does not get."""
    return settings.site_path or "/"


def keyed_hash(purpose: str, text: str) -> str:
    """Return a hash of 64 hexadecimal digits that reveals nothing of the text without SECRET_KEY."""
    return keyed_hashes(purpose, text)[0]


def keyed_hashes(purpose: str, text: str) -> list[str]:
    """Return the hash of a text now, and the one that it had before SECRET_KEY was replaced: to find what is stored."""
    keys = secret_keys.derived(f"feedback_push: {purpose}")
    return [hmac.digest(key, text.encode(), "sha256").hex() for key in keys]


def no_store(response: Response) -> Response:
    """Keep a page with private content out of every cache; for a blueprint's after_request."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def no_index(response: Response) -> Response:
    """Keep a page out of search engines; for a blueprint's after_request."""
    response.headers["X-Robots-Tag"] = "noindex"
    return response


def private(response: Response) -> Response:
    """Let only the user's own browser cache a page with a token, so that it can show the page again on Back."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def allow_redirect_to(url: str) -> None:
    """Let the forms of this page end at another site's page: browsers apply `form-action` to redirects, too."""
    parts = urlsplit(url)
    g.form_action = f"{parts.scheme}://{parts.netloc}" if parts.scheme == "https" else None


def path_within_site(target: str | None) -> str | None:
    """Return the browser's redirect target, or None if it is too long or could leave the site and its path."""
    if not target or len(target) > _LONGEST_TARGET or not target.startswith("/") or target.startswith("//"):
        return None
    if "\\" in target or any(ord(char) < 33 for char in target):
        return None
    path = re.split("[?#]", target, maxsplit=1)[0]
    return target if f"{path}/".startswith(f"{current_settings().site_path}/") and not _climbs(path) else None


def requested_path() -> str:
    """Return the path and query of this request as the browser has asked for them: with the path of the site."""
    return request.script_root + request.full_path.removesuffix("?")


def is_for_programs(asked: Request = request) -> bool:
    """Return whether a request is for the API, even if no endpoint has its address."""
    return f"{asked.path}/".startswith(API)


def wants_json() -> bool:
    """Return whether the client expects JSON rather than a page."""
    return request.path.startswith(("/push/", "/visitor/push/")) or request.is_json


def _climbs(path: str) -> bool:
    """Return whether a browser would leave a folder on this path; it reads `%2e` as a dot, too."""
    return ".." in re.sub("%2e", ".", path, flags=re.IGNORECASE).split("/")


def _own_hosts(settings: Settings) -> set[str]:
    local = {"localhost", "127.0.0.1", "::1"} if is_loopback(settings.site_host) else set()
    return {settings.site_host, *local}


def _only_for_hosts(hosts: set[str]) -> Callable[[], None]:
    # TRUSTED_HOSTS does not support IPv6 addresses.
    def check() -> None:
        if urlsplit(f"//{request.host}").hostname not in hosts:
            raise SecurityError("The Host header names another site.")

    return check


def _widen_form_action(response: Response) -> Response:
    policy = response.headers.get("Content-Security-Policy")
    if policy and g.get("form_action"):
        response.headers["Content-Security-Policy"] = policy.replace(
            "form-action 'self'", f"form-action 'self' {g.form_action}"
        )
    return response


def _isolate(response: Response) -> ResponseReturnValue:
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")  # scripts for other sites set their own
    return response
