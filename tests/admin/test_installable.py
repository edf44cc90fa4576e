"""admin/installable.py: the service worker is served with its words in the reader's language."""

import json
from typing import Any

from werkzeug.test import TestResponse

from feedback_push.auth.models import User
from feedback_push.database import db
from tests.visits import Visitor


def worker(visitor: Visitor, language: str = "en", **headers: str) -> TestResponse:
    return visitor.get("/admin/sw.js", headers={"Accept-Language": language, **headers})


def words(answer: TestResponse) -> dict[str, Any]:
    line = answer.text.splitlines()[0].removeprefix("const WORDS = ").removesuffix(";")
    found: dict[str, Any] = json.loads(line)
    return found


def test_the_worker_brings_its_words(client: Visitor) -> None:
    assert words(worker(client)) == {
        "lang": "en",
        "title": "New feedback",
        "body": "Open the inbox to read it.",
        "actions": {"answer": "Answer"},
    }


def test_its_words_are_in_the_language_of_the_browser(client: Visitor) -> None:
    assert words(worker(client, "lt,de;q=0.5"))["lang"] == "lt"
    assert "Accept-Language" in worker(client).vary


def test_an_administrators_own_language_comes_first(dashboard: Visitor, staff: User) -> None:
    staff.language = "de"
    db.session.commit()
    answer = worker(dashboard, "lt")
    assert words(answer)["lang"] == "de"
    assert "Cookie" in answer.vary


def test_a_worker_that_has_not_changed_is_not_sent_again(client: Visitor) -> None:
    english = worker(client)
    again = worker(client, **{"If-None-Match": english.headers["ETag"]})
    assert (again.status_code, again.data, again.headers["Cache-Control"]) == (304, b"", "no-cache")
    assert "Accept-Language" in again.vary
    assert worker(client, "de", **{"If-None-Match": english.headers["ETag"]}).status_code == 200
