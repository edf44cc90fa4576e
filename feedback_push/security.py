"""Set security headers, cookies, trusted hosts and trusted proxies, and limit request bodies."""

import hmac
from collections.abc import Callable
from datetime import timedelta
from typing import IO, Any, TypeVar
from urllib.parse import quote, unquote_to_bytes, urlsplit

from flask import Flask, Request, current_app, request
from flask.typing import ResponseReturnValue
from flask.wrappers import Response
from flask_talisman import Talisman
from werkzeug.exceptions import RequestEntityTooLarge, SecurityError
from werkzeug.formparser import FormDataParser
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.utils import cached_property

from feedback_push.concurrency_limit import Busy, ConcurrencyLimit
from feedback_push.config import Settings, current_settings
from feedback_push.setting_validators import is_loopback

_LARGEST_BODY = 64 * 1024  # bytes; the default for a view
_KEPT_IN_URLS = "!$&'()*+,/:;=?@%"  # by quote; % stays, so that nothing is encoded twice
_DEFAULT_PORTS = {"http": 80, "https": 443}
_USUAL_PORTS = {"http": 8000, "https": 443}  # for http the port of `make run`
_LONGEST_TARGET = 2048  # characters
_DECODED_AT_ONCE = 16 * 1024  # characters
_MOST_FIELDS = 50  # of a form; the default for a view
# Parsing a large form occupies a core for a moment, and several at once would slow down all other requests.
_large_forms = ConcurrencyLimit(1, waiting=2)
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
# bluetooth, a name that Chromium on Linux does not know and logs as an error.
_NOT_USED = """
    accelerometer aria-notify autoplay browsing-topics camera captured-surface-control clipboard-read
    compute-pressure cross-origin-isolated digital-credentials-create digital-credentials-get display-capture
    encrypted-media fullscreen gamepad geolocation gyroscope hid identity-credentials-get idle-detection keyboard-map
    language-detector language-model local-fonts local-network local-network-access loopback-network magnetometer
    microphone midi on-device-speech-recognition otp-credentials payment picture-in-picture
    private-state-token-issuance private-state-token-redemption publickey-credentials-create publickey-credentials-get
    screen-wake-lock serial speaker-selection storage-access summarizer sync-xhr translator usb window-management
    xr-spatial-tracking
"""
_PERMISSIONS_POLICY = dict.fromkeys(_NOT_USED.split(), "()")

View = TypeVar("View", bound=Callable[..., ResponseReturnValue])

talisman = Talisman()


class _LimitedForm(FormDataParser):
    """A parser that refuses a form that is too large before parsing it, and drops fields without a name.

    Without a name, a field of a multipart form would make the check of CSRF tokens fail.
    """

    most_characters: int | None = None

    def parse(self, stream: IO[bytes], mimetype: str, *args: Any, **kwargs: Any) -> Any:
        if mimetype == "application/x-www-form-urlencoded":
            form, files = self.cls(_decoded(self._checked(stream.read()))), self.cls()
        else:
            stream, form, files = super().parse(stream, mimetype, *args, **kwargs)
        named = [(name, value) for name, value in form.items(multi=True) if name is not None]
        # A line end is two characters in a form, and one in the stored text.
        if self.most_characters and sum(len(text) - text.count("\r\n") for _, text in named) > self.most_characters:
            raise RequestEntityTooLarge
        return stream, self.cls(named), files

    def _checked(self, body: bytes) -> bytes:
        # Werkzeug counts only the parts of multipart forms. Both counts take a millisecond for the largest body.
        too_many = self.max_form_parts is not None and body.count(b"&") >= self.max_form_parts
        decoded = len(body) - 2 * body.count(b"%")
        if too_many or (self.most_characters and decoded > 4 * self.most_characters):  # UTF-8 has at most 4 bytes each
            raise RequestEntityTooLarge
        return body


def _decoded(body: bytes) -> list[tuple[str, str]]:
    """Return the fields of a form as Werkzeug does, with a sixth of the memory."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return []
    pairs = [pair.partition("=") for pair in text.split("&") if pair]
    return [(_unquoted(name), _unquoted(value)) for name, _, value in pairs]


def _unquoted(text: str) -> str:
    # Part by part, because the library needs 75 times the memory of the text that it decodes.
    text = text.replace("+", " ")
    decoded, start = bytearray(), 0
    while start < len(text):
        end = start + _DECODED_AT_ONCE
        if (cut := text.rfind("%", end - 2, end)) >= 0:
            end = cut
        decoded += unquote_to_bytes(text[start:end])
        start = end
    return decoded.decode("utf-8", "werkzeug.url_quote")


class _Request(Request):
    """A request with URLs in ASCII; Werkzeug would decode the host by IDNA 2003, which fails on newer names."""

    form_data_parser_class = _LimitedForm
    most_characters: int | None = None

    def make_form_data_parser(self) -> FormDataParser:
        parser = super().make_form_data_parser()
        parser.most_characters = self.most_characters  # type: ignore[attr-defined]
        return parser

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


def init_app(app: Flask) -> None:
    """Apply the policy; call this before any other extension's init_app, so that its error pages also have a nonce."""
    settings = current_settings(app)
    app.request_class = _Request
    app.config.update(
        SECRET_KEY=settings.secret_key,
        SESSION_COOKIE_NAME=cookie_name(settings, "session"),
        REMEMBER_COOKIE_NAME=cookie_name(settings, "remember_token"),
        MAX_CONTENT_LENGTH=_LARGEST_BODY,
        MAX_FORM_MEMORY_SIZE=_LARGEST_BODY,
        MAX_FORM_PARTS=_MOST_FIELDS,
        REMEMBER_COOKIE_DURATION=timedelta(days=14),
        REMEMBER_COOKIE_HTTPONLY=True,
        REMEMBER_COOKIE_SAMESITE="Lax",
        REMEMBER_COOKIE_SECURE=settings.https,
    )
    app.before_request(_only_for_hosts(_own_hosts(settings)))  # before anything redirects
    talisman.init_app(
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
    app.before_request(_limit_body)  # after Talisman, so that a refusal has a nonce, and before anything reads it
    app.after_request(_isolate)
    if hops := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=hops, x_proto=hops, x_host=hops)  # type: ignore[method-assign]


def cookie_name(settings: Settings, name: str) -> str:
    """Return the name of one of this site's cookies.

    With `__Host-`, a browser accepts it only from this exact host, over https. Browsers share cookies between all ports
    of a host, so the name includes the port, unless it is the usual one of the scheme.
    """
    address = urlsplit(settings.site_url)
    port = address.port or _DEFAULT_PORTS[address.scheme]
    tag = "" if port == _USUAL_PORTS[address.scheme] else f"_{port}"
    return f"{'__Host-' if settings.https else ''}{name}{tag}"


def takes_up_to(
    size: int = _LARGEST_BODY, *, fields: int = _MOST_FIELDS, characters: int | None = None
) -> Callable[[View], View]:
    """Decorate a view to accept larger requests than the default; only the route may be outside this decorator.

    `size` is in bytes. `characters` is the total length of the form's texts, which a page may show again.
    """

    def mark(view: View) -> View:
        view.limits = size, fields, characters  # type: ignore[attr-defined]
        return view

    return mark


def largest_body(app: Flask) -> int:
    """Return the size in bytes of the largest request body that any view accepts."""
    return max(_limits(view)[0] for view in app.view_functions.values())


def keyed_hash(purpose: str, text: str) -> str:
    """Return a hash of 64 hexadecimal digits that reveals nothing of the text without SECRET_KEY."""
    key = hmac.digest(current_app.config["SECRET_KEY"].encode(), f"feedback_push: {purpose}".encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def no_store(response: Response) -> Response:
    """Keep a page with private content out of every cache; for a blueprint's after_request."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def private(response: Response) -> Response:
    """Let only the user's own browser cache a page with a token, so that it can show the page again on Back."""
    response.headers.setdefault("Cache-Control", "private, no-cache")
    return response


def path_within_site(target: str | None) -> str | None:
    """Return the browser's redirect target, or None if it is too long or could leave the site."""
    if not target or len(target) > _LONGEST_TARGET or not target.startswith("/") or target.startswith("//"):
        return None
    return None if "\\" in target or any(ord(char) < 33 for char in target) else target


def wants_json() -> bool:
    """Return whether the client expects JSON rather than a page."""
    return request.path.startswith(("/push/", "/visitor/push/")) or request.is_json


def _own_hosts(settings: Settings) -> set[str]:
    local = {"localhost", "127.0.0.1", "::1"} if is_loopback(settings.site_host) else set()
    return {settings.site_host, *local}


def _only_for_hosts(hosts: set[str]) -> Callable[[], None]:
    # TRUSTED_HOSTS does not support IPv6 addresses.
    def check() -> None:
        if urlsplit(f"//{request.host}").hostname not in hosts:
            raise SecurityError("The Host header names another site.")

    return check


def _limit_body() -> None:
    size, fields, characters = _limits(current_app.view_functions.get(request.endpoint or ""))
    request.max_content_length = request.max_form_memory_size = size
    request.max_form_parts = fields
    request.most_characters = characters  # type: ignore[attr-defined]
    if request.environ.get("feedback_push.overloaded"):  # set by the web server when it discarded the body
        raise Busy(retry_after=5)
    announced = request.content_length or 0
    if announced > size:
        raise RequestEntityTooLarge
    if announced > _LARGEST_BODY:
        _large_forms.enter_for_request()


def _limits(view: Callable[..., Any] | None) -> tuple[int, int, int | None]:
    limits: tuple[int, int, int | None] = getattr(view, "limits", (_LARGEST_BODY, _MOST_FIELDS, None))
    return limits


def _isolate(response: Response) -> ResponseReturnValue:
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    return response
