"""bidi.py: a stranger's text does not reorder the text beside it, and ordinary text stays unchanged."""

import re

import pytest
from flask import Flask
from hypothesis import example, given
from hypothesis import strategies as st

from feedback_push import bidi
from feedback_push.auth.models import User
from feedback_push.feedback import inbox
from feedback_push.feedback.models import Message
from feedback_push.push import notification
from feedback_push.push.notification import Notification
from tests.conftest import PASSWORD
from tests.feedback.messages import receive
from tests.visits import Visitor

LRE, RLE, PDF, LRO, RLO = "\u202a\u202b\u202c\u202d\u202e"
LRI, RLI, FSI, PDI = "\u2066\u2067\u2068\u2069"
_TYPED = st.text(st.sampled_from(f"ab א\n{LRE}{RLE}{PDF}{LRO}{RLO}{LRI}{RLI}{FSI}{PDI}"))


def reaches_beyond(text: str) -> bool:
    """Return whether a control in one of these paragraphs affects text outside, by UAX 9 X1 to X7."""
    return any(_reaches_beyond(paragraph) for paragraph in re.split("[\n\r\x1c-\x1e\x85\u2029]", text))


def _reaches_beyond(paragraph: str) -> bool:
    isolates = [0]  # how many embeddings are open in the paragraph itself, and in each isolate that is open
    for char in paragraph:
        if char in (LRI, RLI, FSI):
            isolates.append(0)
        elif char in (LRE, RLE, LRO, RLO):
            isolates[-1] += 1
        elif char == PDF:
            isolates[-1] = max(0, isolates[-1] - 1)
        elif char == PDI:
            isolates.pop()
            if not isolates:
                return True
    return isolates != [0]


@given(_TYPED)
@example(f"Ada{RLO}")
@example(f"{PDI}{PDI}{RLO}Ada")
@example(f"{LRI}{RLI}Ada")
@example(f"{RLO}one\n{PDI}two\u2029{FSI}three")
def test_no_control_reaches_beyond_the_text_and_nothing_else_changes(text: str) -> None:
    shown = bidi.isolated(text)
    assert not reaches_beyond(shown)
    assert shown.translate(dict.fromkeys(map(ord, f"{FSI}{PDI}"))) == text.translate(
        dict.fromkeys(map(ord, f"{FSI}{PDI}"))
    )


@pytest.mark.parametrize("text", ["", "Ada", "דוד", "Ada דוד (1)", "\u200fדוד\u200e", "\u061ca", "a\nb\tc\u2029d"])  # noqa: RUF001
def test_a_text_without_such_controls_stays_as_it_is(text: str) -> None:
    assert bidi.isolated(text) == text


def test_a_notification_shows_a_name_that_fakes_nothing(app: Flask) -> None:
    shown = {
        "Ada": "Ada:",
        "דוד": "דוד:",
        f"Ada{RLO}:kroW": f"{FSI}Ada{RLO}:kroW{PDI}:",
        f"{PDI}Ada{RLI}": f"{FSI}Ada{RLI}{PDI}{PDI}:",
        "Ada\u2028\nBank": "Ada Bank:",
    }
    for name, title in shown.items():
        message = Message(id=1, content=f"{RLO}olleH\n\nplain {LRI}", submitter_name=name, submitter_email="")
        made: Notification = inbox._notification(message)  # noqa: SLF001 - the payload of its outbox entry
        assert made.title == title
        assert made.body == f"{FSI}{RLO}olleH{PDI}\n\n{FSI}plain {LRI}{PDI}{PDI}"
    long = notification.beginning(f"{LRI}a" * 100_000)
    assert not reaches_beyond(long)
    small = Notification(title="Ada:", body=bidi.isolated(RLO + "\N{GRINNING FACE}" * 900), navigate="/", tag="t")
    assert not reaches_beyond(small.to_json())


def test_the_dashboard_shows_such_a_name_in_an_isolate(client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    message = receive(submitter_name=f"Ada{RLO}{PDI}")
    page = client.read(f"/admin/messages/{message.id}")
    for words in (page.one("title").words, page.one("h1").words, client.read("/admin/").one("bdi").words):
        assert f"{FSI}Ada{RLO}{PDI}" in words
        assert not reaches_beyond(words)
