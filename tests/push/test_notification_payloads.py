"""Payloads: how much of a notification leaves the server for a device, and in which language."""

import json
from typing import Any

import pytest
from flask import Flask

from feedback_push.database import utcnow
from feedback_push.push.claims import Entry
from feedback_push.push.models import PreviewLevel
from feedback_push.push.notification import payload_for
from tests.push.notes import NOTE


def entry(kind: str = "feedback", counts: int = 1) -> Entry:
    return Entry(1, NOTE.to_json(), NOTE.topic, NOTE.urgency, utcnow(), kind, counts, utcnow(), None)


def shown(entry: Entry, shows: PreviewLevel, language: str = "en") -> dict[str, Any]:
    message: dict[str, Any] = json.loads(payload_for(entry, shows, language))["notification"]
    return message


def test_all_of_it_is_the_entrys_own_payload(app: Flask) -> None:
    assert payload_for(entry(), PreviewLevel.ALL, "de") == NOTE.to_json()


def test_the_name_is_all_but_the_body(app: Flask) -> None:
    whole = json.loads(NOTE.to_json())["notification"]
    del whole["body"]
    assert shown(entry(), PreviewLevel.NAME) == whole


def test_nothing_says_only_that_there_is_a_message_and_where(app: Flask) -> None:
    told = shown(entry(), PreviewLevel.NOTHING)
    assert told == shown(entry(), PreviewLevel.NAME) | {"title": "New message", "lang": "en"}
    assert NOTE.title not in str(told)
    assert (told["navigate"], told["tag"]) == (NOTE.navigate, NOTE.tag)


@pytest.mark.parametrize("shows", PreviewLevel)
def test_a_summary_counts_and_names_nobody_however_much_may_be_shown(app: Flask, shows: PreviewLevel) -> None:
    told = shown(entry("summary:feedback", 7), shows)
    assert (told["title"], told["navigate"], told["tag"]) == ("7 new messages", NOTE.navigate, NOTE.tag)
    assert "body" not in told


@pytest.mark.parametrize("kind", ["feedback", "summary:feedback"])
def test_our_words_are_in_the_devices_language_and_say_so(app: Flask, kind: str) -> None:
    assert [shown(entry(kind), PreviewLevel.NOTHING, code)["lang"] for code in ("de", "lt", "en")] == ["de", "lt", "en"]


def test_an_unsupported_language_becomes_english(app: Flask) -> None:
    assert shown(entry(), PreviewLevel.NOTHING, "tlh")["lang"] == "en"


def test_a_payload_for_many_devices_is_made_once(app: Flask) -> None:
    one, same = entry(), entry()._replace(expires_at=utcnow())
    assert payload_for(one, PreviewLevel.NOTHING, "lt") is payload_for(one._replace(), PreviewLevel.NOTHING, "lt")
    assert payload_for(one, PreviewLevel.NOTHING, "lt") is not payload_for(same, PreviewLevel.NOTHING, "lt")
