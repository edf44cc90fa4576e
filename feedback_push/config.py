"""Read the settings once from the environment into a typed, frozen object, and report all problems in one message."""

import os
import secrets
from dataclasses import dataclass, field, fields, replace
from hashlib import sha256
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import quote, urlsplit

from environs import Env, EnvValidationError, validate

from feedback_push import (
    branding_validators,
    notification_validators,
    redis_urls,
    secret_files,
    setting_validators,
    url_validators,
    vapid_validators,
)
from feedback_push.notification_validators import USUAL_BURST, Burst, QuietHours

if TYPE_CHECKING:
    from flask import Flask

__all__ = [
    "ConfigError",
    "Examined",
    "Settings",
    "current_settings",
    "examine",
    "instance_dir",
    "listens_at",
    "load",
    "source",
]

# sun_path holds 108 bytes on Linux and 104 on macOS, including the final NUL.
_LONGEST_SOCKET_PATH = 100
_DAYS = validate.Range(0, 36500)
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - recognised, not bound to


class _FileEnv(Env):
    """The variables in files alone, for a process whose environment belongs to another application."""

    def _get_value(self, env_key: str, default: Any) -> Any:
        return self._environ.get(env_key, default)


class ConfigError(SystemExit):
    """The settings cannot be used; the text names every invalid or missing setting and never repeats a value.

    If it is not caught, the web server, the worker or the command exits with that text and no traceback.
    """


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that an operator can set, with its default; docs/settings.md describes each setting."""

    site_url: str
    secret_key: str = field(repr=False)
    secret_key_previous: str = field(default="", repr=False)  # accepted, too, while the secret is being replaced
    database_url: str = field(repr=False)
    redis_url: str = field(default="", repr=False)  # empty: the embedded broker
    vapid_private_key: str = field(default="", repr=False)  # empty: push is off
    vapid_public_key: str = ""
    vapid_subject: str = ""
    push_ttl: int = 86400
    push_allowed_hosts: tuple[str, ...] = ()
    push_allow_private_addresses: bool = False
    push_concurrency: int = 256
    push_proxy: str = field(default="", repr=False)  # empty: pushes go straight to the push services
    admin_url: str = "/admin/"
    trusted_proxies: int = 0
    instance_dir: Path = Path("instance")
    ratelimit_enabled: bool = True
    form_defence: bool = True
    notification_shows: str = "all"
    notification_burst: Burst = USUAL_BURST
    notification_answer_text: bool = False  # a visitor may choose to see the text of an answer in the notification
    notification_daily_limit: int = 500  # for the messages from one network
    feed_interval_minutes: int = 15
    webhook_private_hosts: tuple[str, ...] = ()  # webhooks may be there at private addresses, and over http
    alarm_after_minutes: int = 15  # in which a device has to show a notification
    drill_interval_days: int = 0  # 0: only when somebody starts one
    quiet_hours: QuietHours | None = None
    retain_messages_days: int = 0  # 0: for ever
    retain_spam_days: int = 30
    retain_deliveries_days: int = 90
    retain_audit_days: int = 365
    backup_max_age_days: int = 7  # the doctor reports an older backup; 0: never
    min_free_disk_mb: int = 256  # large messages are refused below it; 0: never
    time_zone: str = "UTC"
    log_format: str = "auto"
    log_level: str = "info"
    metrics_token: str = field(default="", repr=False)  # empty: there is no /metrics
    sentry_dsn: str = field(default="", repr=False)  # empty, as for the next: nothing leaves this server
    otel_exporter_otlp_endpoint: str = field(default="", repr=False)
    site_name: str = "Feedback Push"
    site_logo: str = ""  # empty: the built-in logo
    site_accent: str = "#0b6b57"
    site_home: str = ""  # empty: the form
    form_title: str = ""  # empty, as for the next two: the built-in text, which is translated
    form_intro: str = ""
    form_thanks: str = ""
    form_name_optional: bool = False
    require_second_factor: bool = False
    second_factor_grace_days: int = 7
    security_contact: tuple[str, ...] = ()  # empty: there is no security.txt
    security_policy: str = ""
    host: str = "127.0.0.1"
    port: int = 8000

    @property
    def https(self) -> bool:
        """True if visitors reach the site over https."""
        return self.site_url.startswith("https:")

    @property
    def site_host(self) -> str:
        """The host in SITE_URL as a browser sends it: without the port, in ASCII and lower case."""
        return urlsplit(self.site_url).hostname or ""

    @property
    def site_origin(self) -> str:
        """The scheme, host and port of SITE_URL, without its path."""
        return self.site_url.removesuffix(self.site_path)

    @property
    def site_path(self) -> str:
        """The path of SITE_URL, under which all pages are: empty, or like `/feedback-app`."""
        return urlsplit(self.site_url).path

    @property
    def push_enabled(self) -> bool:
        """True if a VAPID key pair is configured."""
        return bool(self.vapid_private_key)

    @property
    def socket_path(self) -> Path:
        """The path of the embedded broker's socket, used when REDIS_URL is not set."""
        path = self.instance_dir.absolute() / "redis.sock"
        if len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH:
            return path
        digest = sha256(os.fsencode(path)).hexdigest()[:16]
        return Path(gettempdir()) / f"feedback-push-{digest}" / "redis.sock"

    @property
    def broker_url(self) -> str:
        """The broker's URL as Celery spells it."""
        return redis_urls.for_celery(self._redis_url)

    @property
    def redis_client_url(self) -> str:
        """The URL of the same server as redis-py spells it."""
        return redis_urls.for_client(self._redis_url)

    @property
    def redis_prefix(self) -> str:
        """The prefix of all keys; it includes the site's host and path, because several sites may share a server."""
        return f"feedback_push:{self.site_host}{self.site_path}:"

    @property
    def ratelimit_storage_url(self) -> str:
        """The URL of the same server as Flask-Limiter's storage spells it; its keys have their own prefix."""
        return redis_urls.for_limits(self._redis_url)

    @property
    def _redis_url(self) -> str:
        return self.redis_url or f"unix://{quote(str(self.socket_path))}?db=0"


def current_settings(app: "Flask | None" = None) -> Settings:
    """Return the settings of an application, by default of the current one."""
    from flask import current_app  # noqa: PLC0415 - `make run` reads the settings without loading Flask

    settings: Settings = (app or current_app).extensions["settings"]
    return settings


def source(folder: Path | None = None) -> Env:
    """Return every variable as it was set: from the environment, then `.env`, then the file that `make run` created.

    With a folder, the two files are there, and the environment is not read.
    """
    env = Env(eager=False) if folder is None else _FileEnv(eager=False)
    for parse in (
        setting_validators.secret_key,
        setting_validators.secret_key_previous,
        url_validators.site_url,
        setting_validators.admin_url,
        url_validators.database_url,
        url_validators.redis_url,
        url_validators.push_proxy,
        url_validators.site_home,
        url_validators.security_contact,
        url_validators.security_policy,
        setting_validators.host_list,
        setting_validators.metrics_token,
        url_validators.sentry_dsn,
        url_validators.otlp_endpoint,
        vapid_validators.vapid_private_key,
        vapid_validators.vapid_public_key,
        vapid_validators.vapid_subject,
        setting_validators.time_zone,
        branding_validators.site_name,
        branding_validators.site_logo,
        branding_validators.site_accent,
        branding_validators.form_text,
        notification_validators.burst,
        notification_validators.quiet_hours,
    ):
        env.add_parser(parse.__name__, parse)
    env.read_env((folder or Path()) / ".env", recurse=False)
    env.read_env(instance_dir(env, folder) / "secrets.env", recurse=False)
    return env


def instance_dir(env: Env, folder: Path | None = None) -> Path:
    """Return the folder for the database, the secrets and the embedded broker's socket."""
    return Path(folder or "", env.str("INSTANCE_DIR", str(Settings.instance_dir))).absolute()


def listens_at(env: Env) -> tuple[str, int | None]:
    """Return the host and port for `make run`; the port is None if it is invalid, which `load` then reports."""
    return env.str("HOST", Settings.host), env.int("PORT", Settings.port, validate=validate.Range(1, 65535))


class Examined(NamedTuple):
    """The settings as far as they can be used: an invalid one has a stand-in, and is among the names in `invalid`."""

    settings: Settings
    invalid: frozenset[str]
    problems: list[str]
    open_files: list[str]  # a sentence, with the command that fixes it, for each file that others can read


def load(folder: str | Path | None = None) -> Settings:
    """Read the settings. Raise ConfigError, which names every problem, if they cannot be used.

    Name the folder of `.env` to mount the site in another application: the environment, in which both may use the same
    names, is then not read.
    """
    examined = examine(folder)
    if problems := [*examined.problems, *examined.open_files]:
        raise ConfigError(_message(problems))
    return examined.settings


def examine(folder: str | Path | None = None) -> Examined:
    """Read the settings like `load`, but return the problems: for commands that have to run in spite of them."""
    home = None if folder is None else Path(folder)
    env = source(home)
    settings = _read(env, instance_dir(env, home))
    dotenv = (home or Path()) / ".env"
    opened = list(secret_files.problems(dotenv, settings.instance_dir, settings.database_url or ""))
    try:
        env.seal()
    except EnvValidationError as error:
        invalid = frozenset(cast("dict[str, list[str]]", error.error_messages))
        return Examined(_with_stand_ins(settings, invalid), invalid, _described(error), opened)
    return Examined(settings, frozenset(), [], opened)


def _with_stand_ins(settings: Settings, invalid: frozenset[str]) -> Settings:
    stand_ins: dict[str, Any] = {
        "site_url": "http://127.0.0.1:8000",
        "secret_key": secrets.token_urlsafe(),
        "database_url": "sqlite:///:memory:",
    }
    replaced = {each.name: stand_ins.get(each.name, each.default) for each in fields(Settings)}
    return replace(settings, **{name: value for name, value in replaced.items() if name.upper() in invalid})


def _read(env: Env, instance: Path) -> Settings:
    host, port = listens_at(env)
    own_host = "127.0.0.1" if host in _EVERYWHERE else host
    own_url = f"http://{f'[{own_host}]' if ':' in own_host else own_host}:{port or Settings.port}"
    site_url = env.site_url("SITE_URL", own_url)
    form_defence = env.bool("FORM_DEFENCE", Settings.form_defence)
    secret_key = env.secret_key("SECRET_KEY", "")
    given_public = env.str("VAPID_PUBLIC_KEY", Settings.vapid_public_key)
    private_key = env.vapid_private_key("VAPID_PRIVATE_KEY", Settings.vapid_private_key, given_public=given_public)
    return Settings(
        site_url=site_url,
        secret_key=secret_key,
        secret_key_previous=env.secret_key_previous("SECRET_KEY_PREVIOUS", "", current=secret_key),
        database_url=env.database_url("DATABASE_URL", f"sqlite:///{quote(str(instance))}/feedback_push.sqlite"),
        redis_url=env.redis_url("REDIS_URL", Settings.redis_url),
        vapid_private_key=private_key,
        vapid_public_key=env.vapid_public_key("VAPID_PUBLIC_KEY", Settings.vapid_public_key, private_key=private_key),
        vapid_subject=env.vapid_subject(
            "VAPID_SUBJECT", vapid_validators.default_subject(site_url), site=site_url, push_enabled=bool(private_key)
        ),
        push_ttl=env.int(
            "PUSH_TTL", Settings.push_ttl, validate=validate.Range(1, notification_validators.LONGEST_TTL)
        ),
        push_allowed_hosts=env.host_list("PUSH_ALLOWED_HOSTS", ",".join(Settings.push_allowed_hosts)),
        push_allow_private_addresses=env.bool("PUSH_ALLOW_PRIVATE_ADDRESSES", Settings.push_allow_private_addresses),
        push_concurrency=env.int("PUSH_CONCURRENCY", Settings.push_concurrency, validate=validate.Range(1, 5000)),
        push_proxy=env.push_proxy("PUSH_PROXY", Settings.push_proxy),
        admin_url=env.admin_url("ADMIN_URL", Settings.admin_url),
        trusted_proxies=env.int("TRUSTED_PROXIES", Settings.trusted_proxies, validate=validate.Range(0, 10)),
        instance_dir=instance,
        ratelimit_enabled=env.bool("RATELIMIT_ENABLED", Settings.ratelimit_enabled),
        form_defence=form_defence,
        notification_shows=env.str(
            "NOTIFICATION_SHOWS", Settings.notification_shows, validate=validate.OneOf(notification_validators.SHOWS)
        ),
        # A site without form defence is under test or under load, and has to send every notification.
        notification_burst=env.burst(
            "NOTIFICATION_BURST", "0" if form_defence is False else str(Settings.notification_burst)
        ),
        notification_answer_text=env.bool("NOTIFICATION_ANSWER_TEXT", Settings.notification_answer_text),
        notification_daily_limit=env.int(
            "NOTIFICATION_DAILY_LIMIT", Settings.notification_daily_limit, validate=validate.Range(1, 1_000_000)
        ),
        feed_interval_minutes=env.int(
            "FEED_INTERVAL_MINUTES", Settings.feed_interval_minutes, validate=validate.Range(1, 1440)
        ),
        webhook_private_hosts=env.host_list("WEBHOOK_PRIVATE_HOSTS", ",".join(Settings.webhook_private_hosts)),
        alarm_after_minutes=env.int(
            "ALARM_AFTER_MINUTES", Settings.alarm_after_minutes, validate=validate.Range(1, 1440)
        ),
        drill_interval_days=env.int(
            "DRILL_INTERVAL_DAYS", Settings.drill_interval_days, validate=validate.Range(0, 365)
        ),
        quiet_hours=env.quiet_hours("QUIET_HOURS", str(Settings.quiet_hours or "")),
        retain_messages_days=env.int("RETAIN_MESSAGES_DAYS", Settings.retain_messages_days, validate=_DAYS),
        retain_spam_days=env.int("RETAIN_SPAM_DAYS", Settings.retain_spam_days, validate=_DAYS),
        retain_deliveries_days=env.int("RETAIN_DELIVERIES_DAYS", Settings.retain_deliveries_days, validate=_DAYS),
        retain_audit_days=env.int("RETAIN_AUDIT_DAYS", Settings.retain_audit_days, validate=_DAYS),
        backup_max_age_days=env.int("BACKUP_MAX_AGE_DAYS", Settings.backup_max_age_days, validate=_DAYS),
        min_free_disk_mb=env.int(
            "MIN_FREE_DISK_MB", Settings.min_free_disk_mb, validate=validate.Range(0, 1_000_000_000)
        ),
        time_zone=env.time_zone("TIME_ZONE", Settings.time_zone),
        log_format=env.str("LOG_FORMAT", Settings.log_format, validate=validate.OneOf(setting_validators.LOG_FORMATS)),
        log_level=env.str("LOG_LEVEL", Settings.log_level, validate=validate.OneOf(setting_validators.LOG_LEVELS)),
        metrics_token=env.metrics_token("METRICS_TOKEN", Settings.metrics_token),
        sentry_dsn=env.sentry_dsn("SENTRY_DSN", Settings.sentry_dsn),
        otel_exporter_otlp_endpoint=env.otlp_endpoint(
            "OTEL_EXPORTER_OTLP_ENDPOINT", Settings.otel_exporter_otlp_endpoint
        ),
        site_name=env.site_name("SITE_NAME", Settings.site_name),
        site_logo=env.site_logo("SITE_LOGO", Settings.site_logo),
        site_accent=env.site_accent("SITE_ACCENT", Settings.site_accent),
        site_home=env.site_home("SITE_HOME", Settings.site_home),
        form_title=env.form_text("FORM_TITLE", Settings.form_title),
        form_intro=env.form_text("FORM_INTRO", Settings.form_intro),
        form_thanks=env.form_text("FORM_THANKS", Settings.form_thanks),
        form_name_optional=env.bool("FORM_NAME_OPTIONAL", Settings.form_name_optional),
        require_second_factor=env.bool("REQUIRE_SECOND_FACTOR", Settings.require_second_factor),
        second_factor_grace_days=env.int(
            "SECOND_FACTOR_GRACE_DAYS", Settings.second_factor_grace_days, validate=validate.Range(0, 365)
        ),
        security_contact=env.security_contact("SECURITY_CONTACT", ",".join(Settings.security_contact)),
        security_policy=env.security_policy("SECURITY_POLICY", Settings.security_policy),
        host=host,
        port=port or 0,
    )


def _described(error: EnvValidationError) -> list[str]:
    found = cast("dict[str, list[str]]", error.error_messages)
    return [f"{name}: {' '.join(texts)}" for name, texts in sorted(found.items())]


def _message(problems: list[str]) -> str:
    lines = [f"  {problem}" for problem in problems]
    return "\n".join(["The settings cannot be used:", *lines, "docs/settings.md describes every setting."])
