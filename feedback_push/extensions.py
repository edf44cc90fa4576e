"""Create the Flask extensions that several features share; create_app binds them to the application."""

from typing import Any

from flask import Flask
from flask_limiter import Limiter
from flask_login import LoginManager, current_user, decode_cookie, encode_cookie
from limits.storage import RedisStorage

from feedback_push import counters, network_address, redis_urls, secret_keys
from feedback_push.config import current_settings
from feedback_push.csrf import Protection


class _LoginManager(LoginManager):  # type: ignore[misc]
    """Flask-Login with remember cookies that the previous SECRET_KEY has signed; the next visit signs them anew."""

    def _load_user_from_remember_cookie(self, cookie: str) -> Any:
        token = remembered_token(cookie)
        return None if token is None else super()._load_user_from_remember_cookie(encode_cookie(token))


csrf = Protection()
login_manager = _LoginManager()
limiter = Limiter(key_func=network_address.of_request)
# Otherwise it also loads Valkey's client if installed, which comes with the embedded broker and is never used.
RedisStorage.DEPENDENCIES = {name: needed for name, needed in RedisStorage.DEPENDENCIES.items() if name == "redis"}


def remembered_token(cookie: str) -> str | None:
    """Return the token in a remember cookie; None if neither SECRET_KEY nor the previous one has signed it."""
    tokens = (decode_cookie(cookie, key=key) for key in secret_keys.accepted())
    return next((token for token in tokens if token is not None), None)


def init_app(app: Flask) -> None:
    """Bind the extensions; without Redis the limits fall back to this process's memory, so that no request fails."""
    settings = current_settings(app)
    with app.app_context():
        csrf_keys = secret_keys.oldest_first()
    app.config.update(
        WTF_CSRF_SECRET_KEY=csrf_keys,  # itsdangerous accepts all of them
        WTF_CSRF_TIME_LIMIT=None,  # filling in a form may take longer than any limit; the session limits the token
        WTF_CSRF_SSL_STRICT=False,  # it requires a Referer, which not every browser sends; Protection checks the origin
        RATELIMIT_ENABLED=settings.ratelimit_enabled,
        RATELIMIT_STORAGE_URI=settings.ratelimit_storage_url,
        RATELIMIT_STORAGE_OPTIONS={
            **redis_urls.WEB_TIMEOUTS,
            "key_prefix": f"{settings.redis_prefix}limits",
        },
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,
        RATELIMIT_SWALLOW_ERRORS=True,
        RATELIMIT_STRATEGY="moving-window",
    )
    csrf.init_app(app)
    limiter.init_app(app)
    counters.init_app(app)
    # Its context processor would query the database on every page, including error pages.
    login_manager.init_app(app, add_context_processor=False)
    app.jinja_env.globals["current_user"] = current_user
    login_manager.login_view = "auth.login"
    login_manager.login_message = None
    # It binds a session to an address, which changes on a phone. Even "basic", which has no effect on our sessions,
    # writes to the session of an anonymous client. A response that arrives just after the one to a sign-in would undo
    # the sign-in.
    login_manager.session_protection = None
