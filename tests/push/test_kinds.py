"""Kinds: each has words in every language, and a code that its summary's fits beside."""

import pytest
from flask import Flask
from flask_babel import force_locale

from feedback_push.push import kinds
from feedback_push.push.kinds import FEEDBACK, Kind
from feedback_push.push.models import OutboxEntry


@pytest.mark.parametrize("kind", kinds.CHOOSABLE.values())
def test_a_code_leaves_room_for_what_a_summary_puts_before_it(kind: Kind) -> None:
    assert len(kinds.summary_of(kind)) <= OutboxEntry.kind.type.length
    assert kinds.CHOOSABLE[kind.code] is kind


def test_a_summary_knows_its_kind_and_nothing_else_is_one() -> None:
    assert kinds.summarised(kinds.summary_of(FEEDBACK)) is FEEDBACK
    assert kinds.summarised(FEEDBACK.code) is None
    assert kinds.summarised(kinds.TEST) is None
    assert kinds.summarised("summary:gone") is None


@pytest.mark.parametrize(
    ("language", "count", "words"),
    [("en", 1, "1 new message"), ("en", 2, "2 new messages"), ("en", 12345, "12,345 new messages")],
)
def test_a_summary_counts_in_words(app: Flask, language: str, count: int, words: str) -> None:
    with force_locale(language):
        assert FEEDBACK.several(count) == words
