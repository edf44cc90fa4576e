"""Whatever text stands in whatever place of a request: the answer is in words, no failure of ours, and bounded.

How long an answer takes is measured by tests/drills/test_text.py.
"""

from typing import Any

import pytest
from flask import Flask

from feedback_push.admin import form_editor
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import form_models, origins
from tests import slots
from tests.conftest import make_user
from tests.slots import PLAIN, TEXTS, Slot
from tests.test_not_allowed import Caller, place_of, signed_in

pytestmark = pytest.mark.slow

# Each of these is what some field takes, or ends what a field takes; the others would hide nothing in one text.
_ALONE = ("nested quotes", "one word", "separators")
_UNITS = {name: TEXTS[name] for name in _ALONE} | {
    "all others": "".join(unit for name, unit in TEXTS.items() if name not in _ALONE)
}
# These give the longest pages; tests/drills/test_text.py sends long texts of the others to each form, too.
_GROWING = ("nested quotes", "all others")
_CATEGORIES = form_editor.MOST_CATEGORIES * form_models.LONGEST_LABEL
# Characters that these fields take.
_LONGER = {"content": 200_000, "origins": origins.LONGEST_LIST, "categories_en": _CATEGORIES}
_PAGE = 20_000  # bytes of a page that shows a form again, where plain text is accepted and leads on
_TIMES = 5  # as many bytes as an apostrophe in a page
_SHORT = 90  # characters, which every field takes, so that its validators see them
_PERCENT = 9  # as many bytes as a character in an address


class Site:
    """A site with somebody who is signed in, and a stranger."""

    def __init__(self, app: Flask, user: User) -> None:
        place = place_of(app, user)
        known = {name: [value] for name, value in place.ids.items()}
        self._key = {"Authorization": f"Bearer {place.key}"}
        self.staff, self.stranger = signed_in(app, user.email), Caller(app)
        self._tokens = {caller: caller.token() for caller in (self.staff, self.stranger)}
        every = slots.of(lambda address: self._who(address).read(address), known)
        self.slots = [slot for slot in every if slot.path != "/readyz"]  # which waits for the workers' answers

    def answer(self, slot: Slot, text: str) -> Any:
        """Send the text there."""
        caller = self._who(slot.path)
        asked = slot.request(text)
        headers = {"Referer": caller.site, "X-CSRFToken": self._tokens[caller], **asked.pop("headers")}
        if slot.path.startswith("/api/"):
            headers = {**self._key, **headers}
        if slot.where == "cookie":  # in place of the caller's own
            caller = Caller(caller.application, caller.application.response_class, use_cookies=False)
        return caller.open(asked.pop("path"), headers=headers, **asked)

    def _who(self, path: str) -> Caller:
        return self.stranger if path == "/login" else self.staff  # who is signed in sees no sign-in form


def test_no_text_breaks_any_request(any_app: Flask) -> None:
    site = Site(any_app, make_user("staff@example.org"))
    assert {slot.where for slot in site.slots} == {"form", "json", "query", "header", "cookie", "path"}
    if db.engine.dialect.name == "postgresql":  # which does not store all that SQLite does
        site.slots = [slot for slot in site.slots if slot.path == "/feedback/" and slot.where == "form"]
    for slot in site.slots:
        texts = {f"a few {name}": unit * (_SHORT // len(unit)) for name, unit in _UNITS.items()}
        long = _UNITS if slot.name in _LONGER or slot.where == "query" else _GROWING
        texts |= {name: slot.text(_UNITS[name]) for name in long}
        answers = {name: site.answer(slot, text) for name, text in texts.items()}
        assert {name: answer.status for name, answer in answers.items() if answer.status_code >= 500} == {}, str(slot)
        longest = max(len(answer.data) for answer in answers.values())
        if longest > _PAGE + _most_more(slot):
            assert longest <= len(site.answer(slot, slot.text(PLAIN)).data) + _most_more(slot), str(slot)
    assert site.staff.get("/admin/").status_code == 200  # nothing has ended the session meanwhile


def _most_more(slot: Slot) -> int:
    """Return how many bytes an answer may have more than the one to plain text: what is accepted comes back once."""
    if slot.where == "query":
        return 200 * _PERCENT * 50  # the search is part of each link of a list
    return _TIMES * _LONGER.get(slot.name, 1_000)
