"""The web server and the worker, run as forks of the launcher, which loads the application once for both.

`python -m feedback_push.standalone.programs` runs one that has died again.
"""

import gc
import sys
import warnings
from socket import socket
from typing import TYPE_CHECKING

import celery.apps.worker  # here, so that the worker shares the memory of these, too
import celery.concurrency.thread
import celery.worker.consumer  # noqa: F401
import kombu.transport.redis  # noqa: F401

from feedback_push import celery as broker
from feedback_push import config, create_app
from feedback_push.database import db
from feedback_push.push import sweeper
from feedback_push.standalone import processes
from feedback_push.web_server import listening
from feedback_push.web_server.__main__ import serve

if TYPE_CHECKING:
    from flask import Flask


def main() -> int:
    """Run `web NUMBER`, on the inherited listening socket of this number, or `worker`; return an exit code."""
    part, *numbers = sys.argv[1:]
    processes.show_as("web server" if part == "web" else part)
    app = load()
    return web(app, listening.inherited(int(numbers[0]))) if part == "web" else worker(app)


def command(part: str, *numbers: int) -> list[str]:
    """Return the command that runs a part by itself."""
    return [sys.executable, "-m", __name__, part, *map(str, numbers)]


def load() -> "Flask":
    """Create the application; keep its memory in pages that the forks do not have to copy."""
    app = create_app(config.load())
    # The first page loads templates, translations and the SQL for it. It starts no thread, which a fork would lose.
    app.test_client().get("/feedback/", base_url=config.current_settings(app).site_url)
    with app.app_context():
        db.engine.dispose()
    app.extensions["celery"].finalize()  # builds the tasks
    gc.freeze()
    return app


def web(app: "Flask", listener: socket) -> int:
    """Serve the site on the listening socket until SIGTERM; return an exit code."""
    return serve(app, listener)


def worker(app: "Flask") -> int:
    """Run a Celery worker until SIGTERM; return an exit code."""
    # Celery warns root at length about pickled tasks, but ours are JSON.
    warnings.filterwarnings("ignore", "You're running the worker")
    running = sweeper.install(broker.for_worker(app)).Worker(
        pool="threads", concurrency=4, loglevel="WARNING", quiet=True,
        without_gossip=True, without_mingle=True, without_heartbeat=True,  # there is no other worker
    )  # fmt: skip
    running.start()
    return running.exitcode or 0


if __name__ == "__main__":
    sys.exit(main())
