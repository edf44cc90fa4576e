"""logs.py: write events, and no secrets, to standard error; text on a terminal and JSON elsewhere."""

import json
import logging
import os
import pty
import subprocess
import sys
from dataclasses import replace

import pytest
from flask import Flask
from sqlalchemy import text

from feedback_push import logs
from feedback_push.config import Settings
from feedback_push.database import db
from tests import servers
from tests.leaks import lines
from tests.test_leaks import HARMLESS, SECRETS
from tests.visits import Visitor

SPEAKING = """
import logging, sys, warnings
from feedback_push import logs
from feedback_push.config import Settings
changes = dict(pair.split("=") for pair in sys.argv[1:])
logs.configure(Settings(site_url="http://127.0.0.1", secret_key="", database_url="", **changes))
logging.getLogger("feedback_push.push").info("sent %s", 3, extra={"entry": 7})
logging.getLogger("feedback_push.push").debug("ours, in detail")
logging.getLogger("aiohttp.client").info("https://push.example.org/secret-address")
logging.getLogger("aiohttp.client").warning("a library's trouble")
warnings.warn("something is old")
try:
    typed = "a visitor's text"
    raise OSError("too bad")
except OSError:
    logging.getLogger("feedback_push.push").exception("it failed")
"""


def spoken(*changes: str, stderr: int = subprocess.PIPE) -> str:
    """Return what SPEAKING writes to standard error with these settings."""
    said = subprocess.run(
        [sys.executable, "-c", SPEAKING, *changes],
        cwd=servers.CHECKOUT, stdout=subprocess.PIPE, stderr=stderr, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert said.stdout == ""
    return said.stderr


def spoken_on_a_terminal(*changes: str) -> str:
    terminal, side = pty.openpty()
    spoken(*changes, stderr=side)
    os.close(side)
    said = os.read(terminal, 100_000).decode()
    os.close(terminal)
    return said


def test_events_are_lines_on_standard_error_and_libraries_log_only_warnings() -> None:
    said = spoken("log_format=console")
    first, second, third, *_ = said.splitlines()
    assert "info" in first
    assert "sent 3" in first
    assert "[feedback_push.push] entry=7" in first
    assert "warning" in second
    assert "a library's trouble" in second
    assert "something is old" in third
    assert "OSError: too bad" in said.splitlines()[-1]
    assert "in detail" not in said
    assert "secret-address" not in said
    assert "a visitor's text" not in said.replace('typed = "a visitor\'s text"', "")


def test_elsewhere_each_event_is_one_line_of_json_with_its_time_in_utc() -> None:
    events = [json.loads(line) for line in spoken().splitlines()]
    assert [event["event"].split(":")[0] for event in events] == [
        "sent 3",
        "a library's trouble",
        "<string>",
        "it failed",
    ]
    assert [event["level"] for event in events] == ["info", "warning", "warning", "error"]
    assert (events[0]["logger"], events[0]["entry"]) == ("feedback_push.push", 7)
    assert events[0]["timestamp"].endswith("Z")
    assert "too bad" in events[3]["exception"]
    assert "a visitor's text" not in events[3]["exception"]


def test_a_terminal_gets_text_unless_the_setting_says_json() -> None:
    assert "\x1b[" in spoken_on_a_terminal()
    assert {line[0] for line in spoken_on_a_terminal("log_format=json").splitlines()} == {"{"}


def test_the_level_is_for_our_events_and_never_lets_libraries_say_more_than_warnings() -> None:
    more, less = spoken("log_level=debug"), spoken("log_level=error")
    assert "in detail" in more
    assert "secret-address" not in more
    assert [json.loads(line)["event"] for line in less.splitlines()] == ["it failed"]


def test_a_secret_in_the_text_of_an_error_is_hidden_and_no_text_can_forge_a_line(settings: Settings) -> None:
    formatter = logs.formatter(replace(settings, log_format="json"))

    def written(event: str) -> dict[str, str]:
        record = logging.LogRecord("a.library", logging.ERROR, "", 0, event, None, None)  # not through a logger
        found: dict[str, str] = json.loads(formatter.format(record))
        return found

    addresses = ["https://feedback.example.org/conversations/" + "aB3-" * 10 + "xyz", "write to ada@example.org now"]
    shaped = [secret for secret in SECRETS.values() if " " not in secret]
    for secret in [*shaped, *addresses]:
        assert "[hidden]" in written(f"could not use {secret} there")["event"]
        assert lines(written(f"could not use {secret} there")["event"]) == []
    for line in HARMLESS:
        assert "[hidden]" not in written(line)["event"].replace("://[hidden]127", "")
    assert written("a\r\x1b[2K\u2028b")["event"] == r"a\r\x1b[2K\u2028b"
    console = logs.formatter(replace(settings, log_format="console"))
    forged = logging.LogRecord("a.library", logging.ERROR, "", 0, "a\n2026-11-28 [info] b", None, None)
    assert console.format(forged).splitlines()[1].startswith("    2026")


def test_visitors_texts_are_not_in_the_log(any_app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    db.session.execute(text("ALTER TABLE push_outbox RENAME TO elsewhere"))
    db.session.commit()
    typed = {"content": "my secret", "submitter_name": "Ada Lovelace", "submitter_email": "ada@example.org"}
    assert Visitor(any_app).send("/feedback/", **typed).status_code == 503
    assert "could not be stored" in caplog.text
    assert not [value for value in typed.values() if value in caplog.text]
