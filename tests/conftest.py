"""Fixtures for all tests: databases, settings, the application, and a signed-in administrator."""

import base64
import gc
import importlib
import logging
import os
import re
import shutil
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, NoReturn
from uuid import uuid4

import argon2
import hypothesis
import pytest
import redis
from flask import Flask
from xdist.scheduler import LoadScopeScheduling

from feedback_push import create_app, database, redis_urls
from feedback_push.auth import accounts, password_validators
from feedback_push.auth.models import Role, User
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.notification_validators import NO_BURST
from feedback_push.vapid_validators import public_key_of
from feedback_push.webpush.vapid import VapidKeys
from tests import compiled, leaks, preloaded, servers
from tests.databases import Databases
from tests.doubles.push_service import PushService
from tests.published import PublishedTasks, finish_publishing
from tests.visits import Visit, Visitor

# Otherwise each server that a test starts compiles the package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# The time of an example depends too much on the other tests that run in parallel.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=10)
hypothesis.settings.load_profile("tests")
PASSWORD = "correct horse battery"
# The same in every process, because the names of some tests contain it.
PRIVATE_KEY = base64.urlsafe_b64encode(b"a private key for the tests only").rstrip(b"=").decode()
KEYS = VapidKeys(PRIVATE_KEY, public_key_of(PRIVATE_KEY))


# The folders whose tests run programs.
PROGRAMS = {
    Path(__file__).with_name(name)
    for name in ("visual", "flow", "browser", "embed", "standalone", "proxies", "package")
}
# The tests that begin first, in this order: three long groups that compute, beside others that wait, and no long one at
# the end.
LONG = (
    *("visual", "browser", "flow/test_faults", "flow/test_worker_stops"),
    *("standalone/test_make_run", "package", "flow", "standalone", "embed", "proxies", "doctor", "backup"),
    *("test_not_allowed", "test_slots", "test_config", "test_migrations", "test_makefile", "test_redis_connections"),
    *("monitoring", "webhooks", "alarms"),
)
# Each of these groups shares a browser and a site, or an installed wheel, so one process runs all of a group.
TOGETHER = re.compile(r"tests/(browser|visual/test_[a-k]|visual|package)")
MEMORY = Path("/dev/shm")  # noqa: S108 - our folder in it is private
ROOM = 2**31  # bytes
SERVERS = {"postgresql_url", "redis_url", "own_redis_url"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--fast`."""
    parser.addoption("--fast", action="store_true", help="leave out tests that are slow or start a server or a browser")


def pytest_configure(config: pytest.Config) -> None:
    """Keep the tests' files in memory if there is room, because SQLite waits for the disk at every commit."""
    if config.option.fast:
        hypothesis.settings.load_profile("fast")
    if config.option.basetemp is None and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        folder = config.option.basetemp = tempfile.mkdtemp(prefix="feedback-push-", dir=MEMORY)
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import none of PROGRAMS with `--fast`."""
    return True if config.getoption("fast") and collection_path in PROGRAMS else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Import a share of the tests first in each process, so that one compiles them and the others read its result."""
    gc.disable()  # until all is imported, because it would look at all modules again and again
    process: dict[str, Any] | None = getattr(session.config, "workerinput", None)
    if process and session.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        modules = sorted(
            path.relative_to(session.config.rootpath).with_suffix("")
            for path in Path(__file__).parent.rglob("test_*.py")
            if "drills" not in path.parts and not (session.config.getoption("fast") and PROGRAMS & set(path.parents))
        )
        for module in modules[int(process["workerid"].removeprefix("gw")) :: process["workercount"]]:
            with suppress(Exception):  # which the collection reports
                importlib.import_module(".".join(module.parts))


def pytest_collection_finish() -> None:
    """Spare the garbage collector the modules, and make it look less often: it took a fifth of the time."""
    gc.enable()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sort the tests as LONG says; with `--fast`, leave out those that are slow or need a server."""
    items.sort(key=lambda item: [not re.match(f"tests/{part}", item.nodeid) for part in LONG])
    if config.getoption("fast"):
        left_out = [item for item in items if item.get_closest_marker("slow") or needs_server(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(optionalhook=True, tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Let one process run a module, or a group as TOGETHER says, with `--dist loadscope`."""
    return _Groups(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `any_app` on each kind of database, unless it names one itself."""
    named = any("database_url" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if "any_app" in metafunc.fixturenames and not named:
        metafunc.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture(scope="session", autouse=True)
def no_servers(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail with `--fast` a test that starts a server and is not marked."""
    with pytest.MonkeyPatch.context() as patch:
        if pytestconfig.getoption("fast"):
            for module in (servers, preloaded):
                patch.setattr(module, "running", _refuse_server)
        yield


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> Iterator[None]:
    """Set argon2's parameters for tests, which make a hash cheap, and look up each password once in the lists."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(password_validators, "_is_common", cache(password_validators._is_common))  # noqa: SLF001 - reads 1 MB
        patch.setattr(accounts, "_hasher", argon2.PasswordHasher.from_parameters(argon2.profiles.CHEAPEST))
        yield


@pytest.fixture(scope="session", autouse=True)
def patience_with_redis() -> Iterator[None]:
    """Wait longer for Redis: on a busy machine, it may take longer than a site waits to count there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(redis_urls.WEB_TIMEOUTS, "socket_timeout", 1.0)
        yield


@pytest.fixture(scope="session", autouse=True)
def compiled_once() -> Iterator[None]:
    """Compile templates, SQL and routes once, rather than once for each application."""
    with pytest.MonkeyPatch.context() as patch:
        compiled.once(patch)
        yield


@pytest.fixture(scope="session", autouse=True)
def watched_logs() -> Iterator[None]:
    """Check every log record for secrets."""
    leaks.watch()
    yield
    logging.disable()  # a thread of a test without a broker may log after standard error is closed


@pytest.fixture(autouse=True)
def nothing_secret_in_logs() -> Iterator[None]:
    """Fail a test that logs a secret."""
    with leaks.guard():
        yield


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str]:
    """Run a PostgreSQL server; yield its URL without a database name."""
    # Not below pytest's own folder, which PostgreSQL's user may not enter.
    folder = Path("/tmp") / f"feedback-push-tests-{uuid4().hex[:12]}"  # noqa: S108
    folder.mkdir(mode=0o755)
    try:
        with servers.postgresql(folder) as url:
            yield url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a Redis server."""
    with servers.redis_server(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture
def own_redis_url(tmp_path: Path) -> Iterator[str]:
    """Run a Redis server for one test, without the counts or workers of other tests."""
    with servers.redis_server(tmp_path) as url:
        yield url


@pytest.fixture
def silent_redis_url() -> Iterator[str]:
    """Return an address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a SQLite file with all migrations applied, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate(f"sqlite:///{folder / 'migrated.sqlite'}", folder)
    return folder / "migrated.sqlite"


@pytest.fixture(scope="session")
def postgresql(postgresql_url: str, tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Return the databases of the PostgreSQL server."""
    databases = Databases(postgresql_url)
    migrate(databases.template, tmp_path_factory.mktemp("postgresql"))
    return databases


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Return the URL of a fresh SQLite database."""
    shutil.copy(migrated_sqlite, tmp_path / "test.sqlite")
    return f"sqlite:///{tmp_path / 'test.sqlite'}"


@pytest.fixture
def fresh_postgresql_url(postgresql: Databases) -> str:
    """Return the URL of a PostgreSQL database without rows."""
    return postgresql.empty()


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a fresh database: SQLite, unless the test names another kind or uses `any_app`."""
    name = "sqlite_url" if getattr(request, "param", "sqlite") == "sqlite" else "fresh_postgresql_url"
    url: str = request.getfixturevalue(name)
    return url


@pytest.fixture
def settings(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Settings:
    """Return settings for a site with push, whose push services may be on loopback.

    With `--fast`, its Redis does not run: a test that needs it there asks for `redis_url` itself.
    """
    redis_url = "" if request.config.getoption("fast") else request.getfixturevalue("redis_url")
    return make_settings(database_url, redis_url, tmp_path)


@pytest.fixture
def private_files() -> Iterator[None]:
    """Make the test's files readable by their owner only, like an operator's secrets."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    """Yield the application inside its application context; on SQLite, unless the test uses `any_app`."""
    app = create_app(settings)
    app.test_client_class = Visitor
    app.extensions["celery"].set_default()  # as in a worker, for a test that calls a task
    app.extensions["celery"].set_current()  # another test may have made one that is current in this thread
    with app.app_context():
        yield app
        finish_publishing(app)
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def any_app(app: Flask) -> Flask:
    """Return `app`; a test that uses it runs once on SQLite and once on PostgreSQL.

    Use it for the SQL in which the two differ: locks, ON CONFLICT, RETURNING, search, indexes, foreign keys, odd texts.
    """
    return app


@pytest.fixture
def client(app: Flask) -> Visitor:
    """Return a visitor's browser without JavaScript."""
    return Visitor(app)


@pytest.fixture
def public_only(settings: Settings) -> Iterator[Flask]:
    """Yield the application of a site that connects to public addresses only, as by default."""
    app = create_app(replace(settings, push_allow_private_addresses=False))
    with app.app_context():
        yield app


@pytest.fixture
def visit(settings: Settings) -> Iterator[Visit]:
    """Yield a function that makes a site with some settings changed and returns a browser that visits it."""
    visitors: list[Visitor] = []

    def visitor_of(**changes: Any) -> Visitor:
        if changes.get("ratelimit_enabled") and "redis_url" not in changes and settings.redis_url and not visitors:
            _forget_counts(settings.redis_url)
        visitors.append(Visitor(create_app(replace(settings, **changes))))
        return visitors[-1]

    yield visitor_of
    for visitor in visitors:
        if visitor.application.extensions["settings"].redis_url == settings.redis_url:  # where the next test looks
            finish_publishing(visitor.application)
        with visitor.application.app_context():
            db.engine.dispose()


@pytest.fixture
def staff(app: Flask) -> User:
    """Return an administrator's account."""
    return make_user("staff@example.org")


@pytest.fixture
def service() -> Iterator[PushService]:
    """Run a push service that verifies and decrypts pushes."""
    with PushService() as running:
        yield running


@pytest.fixture
def published(redis_url: str) -> Iterator[PublishedTasks]:
    """Yield the tasks that `app` has published."""
    with closing(PublishedTasks(redis_url)) as queue:
        yield queue


@pytest.fixture
def redis_connections(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the hosts that the test's own thread has tried to connect to, in the order of the attempts."""
    hosts: list[str] = []
    own: int = threading.get_ident()
    connect: Any = redis.Connection._connect  # noqa: SLF001 - because redis-py retries above it

    def note_and_connect(connection: redis.Connection) -> Any:
        if threading.get_ident() == own:
            hosts.append(str(connection.host))
        return connect(connection)

    monkeypatch.setattr(redis.Connection, "_connect", note_and_connect)
    return hosts


@pytest.fixture
def broker_port() -> int:
    """Return the port on which the broker of `without_broker` would listen."""
    return servers.free_port()


@pytest.fixture
def without_broker(settings: Settings, broker_port: int) -> Iterator[Flask]:
    """Yield an application whose broker is not running, inside its application context."""
    yield from _inside(replace(settings, redis_url=f"redis://127.0.0.1:{broker_port}/0"))


@pytest.fixture
def with_hanging_broker(settings: Settings) -> Iterator[Flask]:
    """Yield an application whose broker accepts connections and never answers, inside its application context."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
        yield from _inside(replace(settings, redis_url=f"redis://127.0.0.1:{silent.getsockname()[1]}/0"))


def needs_server(item: pytest.Item) -> bool:
    """Return whether a test uses PostgreSQL or a fixture in SERVERS, or has the marker `server`."""
    parameters = getattr(getattr(item, "callspec", None), "params", {}).values()
    return (
        item.get_closest_marker("server") is not None
        or not SERVERS.isdisjoint(getattr(item, "fixturenames", ()))
        or any(parameter == "postgresql" for parameter in parameters)
    )


def make_settings(database_url: str, redis_url: str, folder: Path) -> Settings:
    """Return the settings of a small site, but with a push service on loopback."""
    return Settings(
        site_url="http://127.0.0.1:8000",
        secret_key="a secret for tests only",
        database_url=database_url,
        redis_url=redis_url,
        vapid_private_key=KEYS.private_key,
        vapid_public_key=KEYS.public_key,
        vapid_subject="mailto:staff@example.org",
        push_allowed_hosts=("127.0.0.1", "localhost"),
        push_allow_private_addresses=True,
        instance_dir=folder,
        ratelimit_enabled=False,
        form_defence=False,
        notification_burst=NO_BURST,  # or tests that post many messages would get one summary
    )


def make_user(email: str, role: Role = Role.OWNER) -> User:
    """Create and commit an account with PASSWORD."""
    user = accounts.create(email, PASSWORD, role)
    db.session.commit()
    return user


def migrate(url: str, folder: Path) -> None:
    """Upgrade a database's schema to the newest migration."""
    app = create_app(make_settings(url, "redis://127.0.0.1:1/0", folder))
    database.upgrade(app)
    with app.app_context():
        db.engine.dispose()


class _Groups(LoadScopeScheduling):  # type: ignore[misc]
    def _split_scope(self, nodeid: str) -> str:
        group = TOGETHER.match(nodeid)
        return group[0] if group else str(super()._split_scope(nodeid))


def _refuse_server(command: list[str], *_: object, **__: object) -> NoReturn:
    raise AssertionError(f"this test needs the marker `server`, because it starts {command[0]}")


def _inside(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    with app.app_context():
        yield app
        if publisher := app.extensions.get("dispatch"):
            while not publisher.waiting.empty():  # or its thread would keep trying during later tests
                publisher.waiting.get()


def _forget_counts(redis_url: str) -> None:
    """Delete the limits' counts, because earlier tests had visitors at the same address and users with the same ids."""
    with redis.Redis.from_url(redis_url) as server:
        for kind in ("counters", "limits"):
            for key in server.scan_iter(f"*:{kind}*"):
                server.delete(key)
