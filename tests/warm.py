"""Import and compile what the site's programs need, in the process that tests/preloaded.py forks them from."""

import gc
import importlib
import logging
import pkgutil

import pytest

import feedback_push
from feedback_push.config import Settings
from tests import compiled

gc.disable()  # or it looks at all that is imported again and again
_OWN = [module.name for module in pkgutil.walk_packages(feedback_push.__path__, "feedback_push.")]
for _name in (
    *(name for name in _OWN if not name.endswith((".__main__", ".worker"))),  # which begin to run
    *("celery.bin.celery", "celery.apps.worker", "celery.worker.consumer", "celery.fixups.django"),
    *("celery.concurrency.prefork", "celery.concurrency.thread", "kombu.transport.redis"),
    *("sqlalchemy.dialects.sqlite", "sqlalchemy.dialects.postgresql.psycopg", "babel.dates"),
    "tests.preloaded",
):
    importlib.import_module(_name)
compiled.once(pytest.MonkeyPatch())
_without_log = logging.NullHandler()
logging.root.addHandler(_without_log)  # or the log would be configured for this application
_app = feedback_push.create_app(
    Settings(site_url="http://127.0.0.1:8000", secret_key="of no site", database_url="sqlite://")
)
assert _app.test_client().get("/feedback/").status_code == 200
logging.root.removeHandler(_without_log)
gc.freeze()  # so that no program looks at it, which would also copy its memory
gc.enable()
