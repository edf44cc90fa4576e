"""Payloads: how much of a notification leaves the server for a device, and in which language."""

import json
from typing import Any

import pytest
from flask import Flask

from feedback_push.database import utcnow
from feedback_push.push import payloads
from feedback_push.push.claims import Entry
from feedback_push.push.models import Shows
from tests.push.notes import NOTE


def entry(kind: str = "feedback", counts: int = 1) -> Entry:
    return Entry(NOTE.to_json(), NOTE.topic, NOTE.urgency, utcnow(), kind, counts)


def shown(entry: Entry, shows: Shows, language: str = "en") -> dict[str, Any]:
    notification: dict[str, Any] = json.loads(payloads.of(entry, shows, language))["notification"]
    return notification


def test_all_of_it_is_the_entrys_own_payload(app: Flask) -> None:
    assert payloads.of(entry(), Shows.ALL, "de") == NOTE.to_json()


def test_the_name_is_all_but_the_body(app: Flask) -> None:
    whole = json.loads(NOTE.to_json())["notification"]
    del whole["body"]
    assert shown(entry(), Shows.NAME) == whole


def test_nothing_says_only_that_there_is_a_message_and_where(app: Flask) -> None:
    told = shown(entry(), Shows.NOTHING)
    assert told == shown(entry(), Shows.NAME) | {"title": "New message", "lang": "en"}
    assert NOTE.title not in str(told)
    assert (told["navigate"], told["tag"]) == (NOTE.navigate, NOTE.tag)


@pytest.mark.parametrize("shows", Shows)
def test_a_summary_counts_and_names_nobody_however_much_may_be_shown(app: Flask, shows: Shows) -> None:
    told = shown(entry("summary:feedback", 7), shows)
    assert (told["title"], told["navigate"], told["tag"]) == ("7 new messages", NOTE.navigate, NOTE.tag)
    assert "body" not in told


@pytest.mark.parametrize("kind", ["feedback", "summary:feedback"])
def test_our_words_are_in_the_devices_language_and_say_so(app: Flask, kind: str) -> None:
    assert [shown(entry(kind), Shows.NOTHING, code)["lang"] for code in ("de", "lt", "en")] == ["de", "lt", "en"]


def test_a_language_that_we_do_not_speak_becomes_english(app: Flask) -> None:
    assert shown(entry(), Shows.NOTHING, "tlh")["lang"] == "en"


def test_what_many_devices_get_is_made_once(app: Flask) -> None:
    one, same = entry(), entry()._replace(expires_at=utcnow())
    assert payloads.of(one, Shows.NOTHING, "lt") is payloads.of(one._replace(), Shows.NOTHING, "lt")
    assert payloads.of(one, Shows.NOTHING, "lt") is not payloads.of(same, Shows.NOTHING, "lt")
