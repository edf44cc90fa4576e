"""config.py: read the settings, convert them, and name invalid ones."""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from datetime import time
from pathlib import Path
from unittest.mock import patch

import limits.storage
import pytest
import redis
from kombu import Connection

from feedback_push import config, create_app, database, installation
from feedback_push.config import ConfigError, Settings
from feedback_push.notification_validators import NO_BURST, Burst, QuietHours
from feedback_push.standalone import broker
from feedback_push.webpush import vapid
from tests import servers
from tests.conftest import KEYS, PRIVATE_KEY
from tests.program import Program

SECRET = "a secret for tests only"
EVERYTHING = {
    "SITE_URL": "https://feedback.example.org/",
    "SECRET_KEY": SECRET,
    "SECRET_KEY_PREVIOUS": "the secret before it",
    "DATABASE_URL": "postgres://ada:lovelace@db.example.org/feedback",
    "REDIS_URL": "rediss://:analytical@redis.example.org:6380/2",
    "VAPID_PRIVATE_KEY": KEYS.private_key,
    "VAPID_PUBLIC_KEY": KEYS.public_key,
    "VAPID_SUBJECT": "mailto:ada@example.org",
    "PUSH_TTL": "3600",
    "PUSH_ALLOWED_HOSTS": "push.example.org, *.push.example.org",
    "PUSH_ALLOW_PRIVATE_ADDRESSES": "true",
    "PUSH_CONCURRENCY": "7",
    "PUSH_PROXY": "http://ada:l0vel%40ce@proxy.example.org:3128/",
    "ADMIN_URL": "/inbox/",
    "TRUSTED_PROXIES": "2",
    "INSTANCE_DIR": "/srv/feedback",
    "RATELIMIT_ENABLED": "false",
    "FORM_DEFENCE": "off",
    "RETAIN_MESSAGES_DAYS": "1000",
    "RETAIN_SPAM_DAYS": "7",
    "RETAIN_DELIVERIES_DAYS": "0",
    "RETAIN_AUDIT_DAYS": "31",
    "SITE_NAME": "Blue Café",
    "SITE_LOGO": str(installation.ROOT / "static/icons/icon.svg"),
    "SITE_ACCENT": "#8B1E3F",
    "FORM_TITLE": "Say it",
    "FORM_INTRO": "All of it.",
    "FORM_THANKS": "Thanks!",
    "FORM_NAME_OPTIONAL": "true",
    "SITE_HOME": "https://www.example.org/",
    "NOTIFICATION_SHOWS": "name",
    "NOTIFICATION_BURST": "5/30",
    "QUIET_HOURS": "21:30-06:15",
    "WEBHOOK_PRIVATE_HOSTS": "n8n.internal, 192.0.2.9",
    "ALARM_AFTER_MINUTES": "5",
    "DRILL_INTERVAL_DAYS": "30",
    "SECURITY_CONTACT": "mailto:security@example.org, https://example.org/report",
    "SECURITY_POLICY": "https://example.org/policy",
    "HOST": "192.0.2.7",
    "PORT": "8080",
}
READ = Settings(
    site_url="https://feedback.example.org",
    secret_key=SECRET,
    secret_key_previous="the secret before it",
    database_url="postgresql+psycopg://ada:lovelace@db.example.org/feedback",
    redis_url="rediss://:analytical@redis.example.org:6380/2",
    vapid_private_key=KEYS.private_key,
    vapid_public_key=KEYS.public_key,
    vapid_subject="mailto:ada@example.org",
    push_ttl=3600,
    push_allowed_hosts=("push.example.org", "*.push.example.org"),
    push_allow_private_addresses=True,
    push_concurrency=7,
    push_proxy="http://ada:l0vel%40ce@proxy.example.org:3128",
    admin_url="/inbox/",
    trusted_proxies=2,
    instance_dir=Path("/srv/feedback"),
    ratelimit_enabled=False,
    form_defence=False,
    retain_messages_days=1000,
    retain_spam_days=7,
    retain_deliveries_days=0,
    retain_audit_days=31,
    site_name="Blue Café",
    site_logo=str(installation.ROOT / "static/icons/icon.svg"),
    site_accent="#8b1e3f",
    form_title="Say it",
    form_intro="All of it.",
    form_thanks="Thanks!",
    form_name_optional=True,
    site_home="https://www.example.org/",
    notification_shows="name",
    notification_burst=Burst(5, 30),
    quiet_hours=QuietHours(time(21, 30), time(6, 15)),
    webhook_private_hosts=("n8n.internal", "192.0.2.9"),
    alarm_after_minutes=5,
    drill_interval_days=30,
    security_contact=("mailto:security@example.org", "https://example.org/report"),
    security_policy="https://example.org/policy",
    host="192.0.2.7",
    port=8080,
)
UNUSABLE = {
    "SITE_URL": "bad-site",
    "SECRET_KEY": "bad-secret",
    "SECRET_KEY_PREVIOUS": "bad-previous",
    "DATABASE_URL": "mysql://bad-database",
    "REDIS_URL": "bad-redis",
    "VAPID_PRIVATE_KEY": "bad-private-key",
    "PUSH_TTL": "bad-ttl",
    "PUSH_ALLOWED_HOSTS": "https://bad-host",
    "PUSH_ALLOW_PRIVATE_ADDRESSES": "bad-boolean",
    "PUSH_CONCURRENCY": "bad-number",
    "PUSH_PROXY": "http://bad-proxy",
    "ADMIN_URL": "bad-path",
    "TRUSTED_PROXIES": "bad-count",
    "RATELIMIT_ENABLED": "bad-choice",
    "FORM_DEFENCE": "bad-defence",
    "RETAIN_MESSAGES_DAYS": "-1",
    "RETAIN_SPAM_DAYS": "bad-age",
    "RETAIN_DELIVERIES_DAYS": "bad-age",
    "RETAIN_AUDIT_DAYS": "40000",
    "SITE_NAME": "bad-name" * 10,
    "SITE_LOGO": "bad-logo",
    "SITE_ACCENT": "bad-colour",
    "FORM_TITLE": "bad-\x1b",
    "FORM_INTRO": "bad-\x1b",
    "FORM_THANKS": "bad-\x1b",
    "FORM_NAME_OPTIONAL": "bad-choice",
    "SITE_HOME": "ftp://bad-home",
    "NOTIFICATION_SHOWS": "bad-much",
    "NOTIFICATION_BURST": "bad-burst",
    "QUIET_HOURS": "bad-hours",
    "WEBHOOK_PRIVATE_HOSTS": "https://bad-host",
    "ALARM_AFTER_MINUTES": "bad-time",
    "DRILL_INTERVAL_DAYS": "366",
    "SECURITY_CONTACT": "bad-contact@example.org",
    "SECURITY_POLICY": "http://bad-policy",
    "PORT": "bad-port",
}


@pytest.fixture(autouse=True)
def empty_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_files: None) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    with patch.dict(os.environ, clear=True):
        yield


def load(**environment: str) -> Settings:
    with patch.dict(os.environ, environment):
        return config.load()


def refusal(**environment: str) -> str:
    with pytest.raises(ConfigError) as refused:
        load(**environment)
    return str(refused.value)


def test_every_variable_is_read() -> None:
    assert load(**EVERYTHING) == READ


def test_a_secret_key_is_all_that_is_needed(tmp_path: Path) -> None:
    assert load(SECRET_KEY=SECRET) == Settings(
        site_url="http://127.0.0.1:8000",
        secret_key=SECRET,
        database_url=f"sqlite:///{tmp_path}/instance/feedback_push.sqlite",
        vapid_subject="mailto:postmaster@localhost",
        instance_dir=tmp_path / "instance",
    )


def test_without_a_secret_key_there_is_no_start() -> None:
    assert "SECRET_KEY" in refusal()
    assert "SECRET_KEY" in refusal(SECRET_KEY="")


def test_every_problem_is_in_one_message_and_no_value_is() -> None:
    words = refusal(**UNUSABLE)
    assert words.startswith("The settings cannot be used:\n")
    named = [line.split(":")[0].strip() for line in words.splitlines()[1:-1]]
    assert named == sorted(UNUSABLE)
    assert "bad-" not in words
    assert "docs/settings.md" in words


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        *[("PORT", "0"), ("PORT", "65536"), ("TRUSTED_PROXIES", "-1"), ("TRUSTED_PROXIES", "11")],
        *[("PUSH_TTL", "0"), ("PUSH_TTL", "2419201"), ("PUSH_CONCURRENCY", "0"), ("PUSH_CONCURRENCY", "5001")],
    ],
)
def test_numbers_have_limits(name: str, outside: str) -> None:
    assert name in refusal(SECRET_KEY=SECRET, **{name: outside})


def test_a_key_pair_is_checked_as_a_pair() -> None:
    assert "VAPID_PRIVATE_KEY" in refusal(SECRET_KEY=SECRET, VAPID_PUBLIC_KEY=KEYS.public_key)
    other = vapid.generate().public_key
    words = refusal(SECRET_KEY=SECRET, VAPID_PRIVATE_KEY=KEYS.private_key, VAPID_PUBLIC_KEY=other)
    assert "VAPID_PUBLIC_KEY: does not match VAPID_PRIVATE_KEY" in words
    assert KEYS.private_key not in words
    assert other not in words


def test_a_public_key_without_contact_or_pair_is_enough_to_turn_push_on() -> None:
    settings = load(SECRET_KEY=SECRET, VAPID_PRIVATE_KEY=KEYS.private_key)
    assert settings.push_enabled
    assert settings.vapid_public_key == KEYS.public_key
    assert settings.vapid_subject == "mailto:postmaster@localhost"
    assert not load(SECRET_KEY=SECRET).push_enabled


def test_a_public_site_without_https_has_to_name_a_contact() -> None:
    site = "http://feedback.example.org"
    assert "VAPID_SUBJECT" in refusal(SECRET_KEY=SECRET, SITE_URL=site, VAPID_PRIVATE_KEY=KEYS.private_key)
    assert load(SECRET_KEY=SECRET, SITE_URL=site).vapid_subject == ""


def test_a_contact_that_is_no_address_is_named_like_any_other_problem() -> None:
    words = refusal(SECRET_KEY=SECRET, VAPID_PRIVATE_KEY=KEYS.private_key, VAPID_SUBJECT="https://[::1")
    assert "VAPID_SUBJECT" in words


@pytest.mark.parametrize(
    "url", ["postgresql://ada:hunter2@db.example.org:port/feedback", "redis://:hunter2@host:port/0"]
)
def test_an_address_with_a_port_that_is_no_number_is_named_at_the_start(url: str) -> None:
    name = "REDIS_URL" if url.startswith("redis") else "DATABASE_URL"
    words = refusal(SECRET_KEY=SECRET, **{name: url})
    assert name in words
    assert "hunter2" not in words


def test_without_the_forms_defence_there_is_no_burst_unless_it_is_set() -> None:
    bare = {"SECRET_KEY": SECRET, "FORM_DEFENCE": "off"}
    assert load(**bare).notification_burst == NO_BURST
    assert load(**bare, NOTIFICATION_BURST="3/5").notification_burst == Burst(3, 5)


def test_nothing_secret_is_shown_when_the_settings_are() -> None:
    shown = repr(READ)
    for secret in (SECRET, "lovelace", "analytical", "l0vel", KEYS.private_key):
        assert secret not in shown
        assert secret not in str(READ)
    assert KEYS.public_key in shown


def test_the_settings_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        READ.secret_key = "another"  # type: ignore[misc]


def test_the_environment_comes_before_the_file_and_the_file_before_what_the_first_start_made(tmp_path: Path) -> None:
    (tmp_path / "instance").mkdir()
    (tmp_path / "instance/secrets.env").write_text(f"SECRET_KEY={SECRET} made\nPUSH_TTL=1\nPUSH_CONCURRENCY=1\n")
    (tmp_path / ".env").write_text("PUSH_TTL=2\nPUSH_CONCURRENCY=2\n")
    settings = load(PUSH_CONCURRENCY="3")
    assert (settings.secret_key, settings.push_ttl, settings.push_concurrency) == (f"{SECRET} made", 2, 3)


def test_an_empty_value_counts_as_set(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://localhost\nVAPID_PRIVATE_KEY=nonsense\n")
    settings = load(SECRET_KEY=SECRET, REDIS_URL="", VAPID_PRIVATE_KEY="")
    assert (settings.redis_url, settings.push_enabled) == ("", False)


def test_the_file_may_say_where_the_instance_is(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secrets.env").write_text(f"SECRET_KEY={SECRET}\n")
    (tmp_path / ".env").write_text("INSTANCE_DIR=elsewhere\n")
    assert load().instance_dir == tmp_path / "elsewhere"
    assert load().secret_key == SECRET


def test_a_file_further_up_is_not_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(f"SECRET_KEY={SECRET}\n")
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert "SECRET_KEY" in refusal()


@pytest.mark.parametrize(
    ("host", "site_url"),
    [
        ("localhost", "http://localhost:9000"),
        ("0.0.0.0", "http://127.0.0.1:9000"),  # noqa: S104
        ("::", "http://127.0.0.1:9000"),
        ("::1", "http://[::1]:9000"),
    ],
)
def test_the_site_is_by_default_where_make_run_listens(host: str, site_url: str) -> None:
    assert load(SECRET_KEY=SECRET, HOST=host, PORT="9000").site_url == site_url


def test_a_given_server_is_the_broker_and_keeps_the_limits() -> None:
    url = "redis://:secret@redis.example.org:6380/2"
    settings = replace(READ, redis_url=url)
    assert [settings.broker_url, settings.redis_client_url, settings.ratelimit_storage_url] == [url] * 3


def test_a_site_address_is_folded_for_all_that_is_made_from_it() -> None:
    settings = load(SECRET_KEY=SECRET, SITE_URL="HTTPS://Feedback.Example.ORG:443/", VAPID_PRIVATE_KEY=PRIVATE_KEY)
    assert settings.https
    assert settings.site_url == settings.vapid_subject == "https://feedback.example.org"
    assert settings.redis_prefix == "feedback_push:feedback.example.org:"
    international = load(SECRET_KEY=SECRET, SITE_URL="https://straße.example.org", VAPID_PRIVATE_KEY=PRIVATE_KEY)
    assert international.site_host == "xn--strae-oqa.example.org"
    assert international.site_url == international.vapid_subject == "https://xn--strae-oqa.example.org"
    named = load(SECRET_KEY=SECRET, VAPID_PRIVATE_KEY=PRIVATE_KEY, VAPID_SUBJECT="mailto:ada@straße.example.org")
    assert named.vapid_subject == "mailto:ada@xn--strae-oqa.example.org"


def test_invalid_driver_options_end_the_start_with_a_reason() -> None:
    bad = {"SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://ada:hunter2@host/name?port=x"}
    with patch.dict(os.environ, bad), pytest.raises(ConfigError) as refused:
        create_app()
    assert "DATABASE_URL" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__suppress_context__


def test_the_database_is_in_the_instance_folder_whatever_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "per%41cent? & #1"
    folder.mkdir()
    environment = {"SECRET_KEY": SECRET, "INSTANCE_DIR": str(folder)}
    with patch.dict(os.environ, environment):
        database.upgrade(create_app())
    assert (folder / "feedback_push.sqlite").stat().st_mode & 0o777 == 0o600
    (folder / "feedback_push.sqlite").chmod(0o644)
    folder.chmod(0o755)
    assert "feedback_push.sqlite: others can read it" in refusal(**environment)


@pytest.mark.parametrize("folder", ["plain", "blanks & ümlaut", "per%20cent", "number#1", "really?", "x" * 120])
def test_every_client_finds_the_embedded_broker_in_whatever_folder(tmp_path: Path, folder: str) -> None:
    settings = replace(READ, redis_url="", instance_dir=tmp_path / folder)
    with broker.running(settings):
        with redis.Redis.from_url(settings.redis_client_url) as client:
            assert client.ping()
        with Connection(settings.broker_url) as connection:
            connection.ensure_connection(max_retries=1, timeout=1)
        assert limits.storage.storage_from_string(settings.ratelimit_storage_url).check()
    shutil.rmtree(settings.socket_path.parent)  # for a long path it is not below pytest's own folder


def test_each_folder_has_a_socket_of_its_own_that_the_system_can_name(tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("short", "one" + "x" * 120, "two" + "x" * 120)]
    sockets = [replace(READ, instance_dir=folder).socket_path for folder in folders]
    assert len(set(sockets)) == 3
    assert sockets[0] == tmp_path / "short/redis.sock"
    assert all(len(os.fsencode(path)) <= 100 for path in sockets)


def test_the_templates_are_found() -> None:
    assert (installation.ROOT / "templates/layout.html").is_file()


def test_an_application_is_made_from_the_environment() -> None:
    with patch.dict(os.environ, {"SECRET_KEY": SECRET, "ADMIN_URL": "/inbox/", "DATABASE_URL": "sqlite:////none"}):
        app = create_app()
    assert app.extensions["settings"].admin_url == "/inbox/"


# Each begins with its module; `make run` starts others with an interpreter of its own.
COMMANDS = {
    "flask user list": ["flask", "--app", "wsgi", "user", "list"],
    "flask db upgrade": ["flask", "--app", "wsgi", "db", "upgrade"],
    "celery": ["celery", "-A", "celery_worker", "worker", "--pool", "solo"],
    "web server": ["feedback_push.web_server"],
    "make run": [sys.executable, "-m", "feedback_push.standalone"],
}


def output_of(command: list[str], folder: Path, awaited: str = "its end", **settings: str) -> tuple[int | None, str]:
    """Return the exit code and all output of a command, which is stopped after the awaited text."""
    given = {"INSTANCE_DIR": str(folder), "SECRET_KEY": SECRET, "HOME": str(folder), "PORT": str(servers.free_port())}
    with Program(command, folder / "log", given | settings, is_preloaded=command[0] != sys.executable) as program:
        servers.wait_until(lambda: not program.is_alive or awaited in program.log, 60, "the command's end")
        code = program.process.poll()
    return code, program.log


@pytest.mark.server
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_bad_settings_end_every_command_with_that_message_and_no_traceback(command: list[str], tmp_path: Path) -> None:
    # Today's libraries would read the second half of each password as a host, and say so.
    bad = {
        "SECRET_KEY": "short",
        "PORT": "hunter2",
        "DATABASE_URL": "postgresql://ada:p@ssw0rd@127.0.0.1/x",
        "REDIS_URL": "redis://:s3cr@t/p#rt@127.0.0.1/0",
    }
    code, output = output_of(command, tmp_path, **bad)
    assert code not in (0, None)
    assert "PORT: Not a valid integer." in output
    assert "SECRET_KEY: must have at least 16 characters." in output
    assert output.count("Percent-encode it") == 2
    assert "Traceback" not in output
    for part in ("hunter2", "p@ss", "w0rd", "s3cr", "p#rt", "127.0.0.1"):
        assert part not in output


CONNECTING = {name: command for name, command in COMMANDS.items() if name != "web server"}  # which waits for requests


@pytest.mark.server
@pytest.mark.parametrize("command", CONNECTING.values(), ids=CONNECTING)
def test_servers_that_do_not_answer_make_no_command_show_a_password(command: list[str], tmp_path: Path) -> None:
    nobody = servers.free_port()
    _, output = output_of(
        command,
        tmp_path,
        str(nobody),
        DATABASE_URL=f"postgresql://ada:l0ve%40l%2Fce%23%25%3A@127.0.0.1:{nobody}/x",
        REDIS_URL=f"redis://:an%20al%5Btic%C3%A9@127.0.0.1:{nobody}/0",
    )
    assert str(nobody) in output
    for part in ("l0ve", "l/ce", "l%2Fce", "an al", "an%20al", "al[tic", "al%5Btic"):
        assert part not in output
