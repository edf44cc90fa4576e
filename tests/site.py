"""Run a whole site as an operator does: a web server and Celery workers, each in its own process."""

import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Self

import requests
from sqlalchemy import select

from feedback_push import create_app
from feedback_push.auth import accounts
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.push import sweeper
from feedback_push.push.models import OutboxEntry, Subscription
from tests import conftest, servers
from tests.environment import environment_of
from tests.program import Program
from tests.sessions import Staff, Visitor

OFTEN = 1.0  # seconds between two sweeps, for tests that wait for one
_WEB = ["feedback_push.web_server"]
# Without greeting other workers, which takes a second.
_CELERY = ["celery", "-A", "celery_worker", "worker", "--loglevel", "INFO", "--without-mingle"]
_TRACEBACK = re.compile(r"^.*Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*.*", re.MULTILINE)
_KILLED = "WorkerLostError"  # Celery logs this if a test has killed a child of its pool


class Site:
    """`with Site(settings) as site:`, then call `site.serve()` and `site.work()` as often as needed.

    It listens on a free port of 127.0.0.1, which stays the same. Everything that was started ends with the block. The
    processes get the settings as environment variables; the logs are in the settings' instance_dir. Its workers sweep
    every `sweep_interval` seconds, so that a test of a lost wake-up need not wait as long as a site may. `periods` are
    other values for constants of modules, as tests/preloaded.py describes.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sweep_interval: float = sweeper.INTERVAL,
        periods: Mapping[str, float] | None = None,
    ) -> None:
        port = servers.free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.change(replace(settings, site_url=self.url, port=port))
        self._periods = {f"{sweeper.__name__}.INTERVAL": sweep_interval, **(periods or {})}
        self._programs: list[Program] = []
        self._sessions = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sessions.close()
        self.stop()

    def change(self, settings: Settings) -> None:
        """Use these settings for everything that is started from now on."""
        self.settings = settings
        self._app = create_app(settings)

    def serve(self, **settings: str) -> Program:
        """Start the web server, with other settings if given, and wait until it answers."""
        self.web = self._start(_WEB, "web", settings)
        _wait_for(self.web, self._answers)
        return self.web

    def work(self, *options: str, **settings: str) -> Program:
        """Start a Celery worker with these options and other settings, and wait until it is ready."""
        name = f"worker-{len(self._programs)}"
        worker = self._start([*_CELERY, "--hostname", f"{name}@%h", *options], name, settings)
        _wait_for(worker, lambda: " ready." in worker.log)
        return worker

    def stop(self) -> None:
        """Stop everything that runs."""
        with ThreadPoolExecutor() as at_once:
            list(at_once.map(Program.terminate, self._programs))

    @property
    def dashboard(self) -> str:
        """The address of the inbox."""
        return self.url + self.settings.admin_url

    @property
    def failures(self) -> list[str]:
        """The tracebacks in the logs of all processes, from any code."""
        written = [traceback for program in self._programs for traceback in _TRACEBACK.findall(program.log)]
        written += [
            event["exception"] for program in self._programs for event in program.events if "exception" in event
        ]
        return [traceback for traceback in written if _KILLED not in traceback]

    def visitor(self) -> Visitor:
        """Return a visitor with a new HTTP session."""
        return self._sessions.enter_context(Visitor(self.settings))

    def staff(self, email: str = "staff@example.org") -> Staff:
        """Return a signed-in administrator; create the account if there is none."""
        self.create_user(email)
        staff = self._sessions.enter_context(Staff(self.settings))
        staff.sign_in(email, conftest.PASSWORD)
        return staff

    def create_user(self, email: str) -> None:
        """Create an account with conftest.PASSWORD, unless there is one."""
        with self.database():
            if not accounts.find(email):
                conftest.make_user(email)

    @contextmanager
    def database(self) -> Iterator[None]:
        """Open the site's database to the test: the block may use db.session and the package's modules."""
        with self._app.app_context():
            try:
                yield
            finally:
                db.session.remove()
                db.engine.dispose()

    def empty(self) -> None:
        """Delete all data."""
        with self.database():
            for entity in (OutboxEntry, Subscription):  # the lock order of the workers, which may be running
                db.session.execute(select(entity.id).order_by(entity.id).with_for_update())
            for table in reversed(db.metadata.sorted_tables):
                db.session.execute(table.delete())
            db.session.commit()

    def _start(self, command: list[str], name: str, settings: dict[str, str]) -> Program:
        environment = environment_of(self.settings) | settings
        log = self.settings.instance_dir / f"{name}.log"
        program = Program(command, log, environment, is_preloaded=True, periods=self._periods)
        self._programs.append(program)
        return program

    def _answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        except requests.RequestException:
            return False


def _wait_for(program: Program, ready: Callable[[], bool]) -> None:
    servers.wait_until(lambda: ready() or not program.is_alive, 60, "the start of a program")
    assert program.is_alive, program.log
