"""The documentation quotes the program's texts as they are, and leaves out no alarm, check, state or reason."""

import re
from functools import cache

import pytest

from feedback_push.admin import labels
from feedback_push.alarms import texts
from feedback_push.alarms.models import Alarm
from feedback_push.doctor import examination, report
from tests.docs.command_lines import PAGES
from tests.servers import CHECKOUT
from tests.translations import source_texts, texts_of

OPERATE, TROUBLESHOOT = ((CHECKOUT / "docs" / name).read_text() for name in ("operate.md", "troubleshoot.md"))
_QUOTED = re.compile(r'"([^"\n]+)"')
_CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_BOLD = re.compile(r"(?<=[^\n.*-] )\*\*([^*]+)\*\*")
_ABOUT_THE_CODE = {"architecture.md", "performance.md"}
_OF_PHONES = {"Add to Home Screen"}
# What browsers say or show themselves.
_OF_BROWSERS = {"push service error", "Use Google services for push messaging"}


@cache
def shown() -> list[str]:
    """Return all English texts without their markup."""
    ids = [part for message in texts_of(source_texts()) for part in _parts(message.id)]
    return [" ".join(re.sub(r"<[^>]+>", "", text).split()) for text in ids]


def is_shown(quotation: str) -> bool:
    """Return whether a text of the program begins like this; an ellipsis stands for a value, or for the rest."""
    start, *others = (part.strip() for part in quotation.split("…"))
    return any(text.startswith(start) and all(part in text for part in others) for text in shown())


def _parts(id_: object) -> list[str]:
    return [str(part) for part in id_] if isinstance(id_, tuple | list) else [str(id_)]


@pytest.mark.parametrize("page", [OPERATE, TROUBLESHOOT], ids=["operate.md", "troubleshoot.md"])
def test_every_quotation_is_a_text_of_the_program(page: str) -> None:
    tables = "\n".join(line for line in page.splitlines() if line.startswith("|"))
    quoted = set(_QUOTED.findall(tables)) - _OF_BROWSERS
    assert len(quoted) > 4
    assert {text for text in quoted if not is_shown(text)} == set()


def test_what_a_page_tells_to_click_is_there() -> None:
    """A bold text is the label of a button, a link or a page, unless a paragraph begins with it."""
    found = 0
    for page in (page for page in PAGES if page.name not in _ABOUT_THE_CODE):
        text = _CODE.sub("", page.read_text())
        for label in (part for bold in _BOLD.findall(text) for part in bold.split("→")):
            found += 1
            assert " ".join(label.split()) in {*shown(), *_OF_PHONES}, page.name
    assert found > 40


def test_each_check_of_the_doctor_has_a_row_with_its_name(app: object) -> None:
    checks = [*examination.OF_SETTINGS, "database", "migrations", *examination.OF_DATABASE, *examination.OF_NETWORK]
    rows = re.findall(r"^\| `(\w+)`: ([^|]+) \|", OPERATE, re.MULTILINE)
    assert sorted(rows) == sorted((check, report.title(check)) for check in checks)
    named = set(re.findall(r"`(\w+)` (?:is wrong|names)", TROUBLESHOOT))
    assert named <= set(checks)
    assert len(named) > 5


def test_each_alarm_has_a_row_with_its_title(app: object) -> None:
    rows = dict(re.findall(r'^\| "([^"]+)" \(`(\w+)`\) \|', OPERATE, re.MULTILINE))
    assert rows == {texts.title(alarm): alarm.value for alarm in Alarm}


def test_each_state_and_reason_of_a_delivery_and_each_state_of_a_device_is_explained(app: object) -> None:
    page = (CHECKOUT / "templates" / "admin" / "devices.html").read_text()
    pills = page[page.index("macro pill") : page.index("endmacro", page.index("macro pill"))]
    devices = re.findall(r'_\("([^"]+)"\)', pills)
    states = [*map(str, labels.COUNTED.values()), *map(str, labels.STAGES.values())]
    reasons = [str(text) for text in labels.REASONS.values()]
    explained = set(_QUOTED.findall(TROUBLESHOOT))
    assert {*devices, *states, *reasons} - explained == set()


def test_each_state_of_the_card_that_needs_a_step_is_explained() -> None:
    page = (CHECKOUT / "templates" / "admin" / "_push.html").read_text()
    well = {"checking", "default", "granted-not-subscribed", "on"}
    states = {state for when in re.findall(r'<(?:p|div) data-when="([\w -]+)"', page) for state in when.split()} - well
    troubles = set(re.findall(r'data-trouble="([\w-]+)"', page)) - {"signed-out"}
    first = {name: _first_text(page, name) for name in states | troubles}
    table = TROUBLESHOOT[TROUBLESHOOT.index("## The button") : TROUBLESHOOT.index("## Notifications come late")]
    quoted = [text.rstrip("…").strip() for text in _QUOTED.findall(table)]
    assert len(first) > 10
    assert {name for name, text in first.items() if not any(text.startswith(each) for each in quoted)} == set()


def _first_text(page: str, name: str) -> str:
    """Return what the card says in a state or after a fault, without markup."""
    start = re.search(rf'data-(?:when|trouble)="{name}"[^>]*>', page)
    assert start, name
    text = re.sub(r"{%.*?%}|<[^>]+>|{{ _\(\"", "", page[start.end() : start.end() + 600], flags=re.DOTALL)
    return " ".join(text.split())
