"""logs.py: write events, and no secrets, to standard error."""

import subprocess
import sys

import pytest
from flask import Flask
from sqlalchemy import text

from feedback_push.database import db
from tests import servers
from tests.visits import Visitor

SPEAKING = """
import logging, warnings
from feedback_push import logs
logs.init_app()
logging.getLogger("feedback_push.push").info("sent %s", 3)
logging.getLogger("feedback_push.push").debug("ours, in detail")
logging.getLogger("aiohttp.client").info("https://push.example.org/secret-address")
logging.getLogger("aiohttp.client").warning("a library's trouble")
warnings.warn("something is old")
"""


def test_events_are_lines_on_standard_error_and_libraries_log_only_warnings() -> None:
    said = subprocess.run(
        [sys.executable, "-c", SPEAKING], cwd=servers.CHECKOUT, capture_output=True, text=True, check=True, timeout=60
    )
    lines = said.stderr.splitlines()
    assert "INFO feedback_push.push: sent 3" in lines[0]
    assert "WARNING aiohttp.client: a library's trouble" in lines[1]
    assert "WARNING py.warnings: " in lines[2]
    assert "something is old" in lines[2]
    assert "in detail" not in said.stderr
    assert "secret-address" not in said.stderr
    assert said.stdout == ""


def test_visitors_texts_are_not_in_the_log(any_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    db.session.execute(text("ALTER TABLE push_outbox RENAME TO elsewhere"))
    db.session.commit()
    typed = {"content": "my secret", "submitter_name": "Ada Lovelace", "submitter_email": "ada@example.org"}
    assert Visitor(any_app).send("/feedback/", **typed).status_code == 503
    assert "could not be stored" in caplog.text
    assert not [value for value in typed.values() if value in caplog.text]
