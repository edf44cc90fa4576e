"""docs/api.md: every example runs as it stands against a real server, and the reference is the description."""

import hmac
import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import altcha
import pytest
import requests
from flask import Flask

from feedback_push.api import description, host_users
from feedback_push.auth import accounts, api_keys
from feedback_push.auth.api_keys import Scope
from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.feedback import site_forms
from feedback_push.feedback.models import Message
from feedback_push.push import outbox
from tests.api import reference
from tests.feedback.messages import own_form
from tests.push.notes import NOTE
from tests.site import Site
from tests.topics.followed import new_topic
from tests.visitors.conversations import begun

SITE, SHOP = "https://feedback.example.org", "https://shop.example.org"
EXAMPLES = re.findall(r"```sh\n(.*?)```(?:\n+```json\n(.*?)```)?", reference.FILE.read_text(), re.DOTALL)


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    with Site(replace(settings, form_defence=True)) as running:
        running.serve()
        yield running


def fill(site: Site) -> str:
    """Give the site what the examples speak of, and return a key."""
    site.create_user("staff@example.org")
    with site.database():
        user = accounts.find("staff@example.org")
        assert user
        begun(content="Where is the invoice?", submitter_name="Ada", submitter_email="ada@example.org")
        own_form("shop", origins=[SHOP])
        new_topic("releases")
        outbox.enqueue(NOTE)
        key = api_keys.make(user, "Examples", [*Scope])
        db.session.commit()
        return key


def solved(site: Site) -> str:
    """Return the proof of work for one message."""
    challenge = requests.get(f"{site.url}/api/v1/forms/shop/challenge", timeout=20).json()
    found = altcha.Challenge.from_dict(challenge)
    solution = altcha.solve_challenge(found)
    assert solution
    return str(altcha.Payload(found, solution).to_base64())


def shape(value: Any) -> Any:
    """Return the names and types in an answer."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    return [shape(inner) for inner in value] if isinstance(value, list) else type(value).__name__


@pytest.mark.server
def test_every_example_runs_as_it_stands(site: Site, tmp_path: Path) -> None:
    assert len(EXAMPLES) >= 11
    key = fill(site)
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 20\n")
    environment = {"PATH": os.environ["PATH"], "CURL_HOME": str(tmp_path), "KEY": key, "PROOF": solved(site)}
    for command, documented in EXAMPLES:
        ran = subprocess.run(
            ["bash", "-euc", command.replace(SITE, site.url)],
            capture_output=True,
            text=True,
            check=False,
            env=environment,
        )
        assert ran.returncode == 0, (command, ran.stdout, ran.stderr)
        answer = json.loads(ran.stdout)
        if documented:
            assert shape(answer) == shape(json.loads(documented)), command
            if "errors" in answer:
                assert answer == json.loads(documented)
    with site.database():
        assert [message.state for message in db.session.query(Message).order_by(Message.id)] == ["archived", "new"]


def test_the_documented_hmac_is_the_one_that_is_checked(app: Flask) -> None:
    own_form("shop")
    form = site_forms.find("shop")
    assert form
    [code] = re.findall(r"```python\nimport hmac\n(.*?)```", reference.FILE.read_text(), re.DOTALL)
    found = {"hmac": hmac, "secret": host_users.secret(form)}
    exec(code, found)  # noqa: S102 - our own document
    assert host_users.proven(form, found["user"]) == "customer-42"  # type: ignore[arg-type]


def test_the_reference_is_the_description(app: Flask) -> None:
    described = description.of_app(app)
    assert reference.written() == reference.of(described), "run python -m tests.api"
    operations = {operation["operationId"] for path in described["paths"].values() for operation in path.values()
                  if isinstance(operation, dict)}  # fmt: skip
    views = {name.partition(".")[2] for name in app.view_functions if name.startswith(("api.", "api_forms."))}
    assert operations == views
    assert described["openapi"] == "3.1.0"
