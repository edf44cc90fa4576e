"""An incident: 3,000 people write through a plain form within minutes, and its owner has expected as many."""

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from time import monotonic
from urllib.parse import urlencode

from sqlalchemy import func, select

from feedback_push.database import db
from feedback_push.feedback.models import Message
from tests.drills.harness import report
from tests.feedback.messages import own_form
from tests.site import Site

_PEOPLE = 3_000
_SHOP = "https://shop.example"
_WITHIN = 600  # seconds
_LARGEST = 20_000_000  # bytes of database


def test_three_thousand_people_get_through_a_form_whose_owner_expects_them(site: Site) -> None:
    with site.database():
        own_form(origins=[_SHOP], form_hourly=_PEOPLE)
    before, began = _size(site), monotonic()
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda person: _post(site.settings.port, person), range(_PEOPLE + 10)))
    seconds, grown = monotonic() - began, _size(site) - before
    report("3,000 messages of an incident", f"{seconds:.0f} s · {grown / 1e6:.1f} MB")
    assert (statuses.count(303), statuses.count(429)) == (_PEOPLE, 10)
    with site.database():
        assert db.session.scalar(select(func.count()).select_from(Message)) == _PEOPLE
    assert seconds < _WITHIN
    assert grown < _LARGEST


def _post(port: int, person: int) -> int:
    """Send a message from an address of its own, and return the status."""
    connection = HTTPConnection("127.0.0.1", port, 30, (f"127.{1 + person // 200}.{1 + person % 200}.1", 0))
    body = urlencode({"content": f"It does not work for me either. {person}"})
    headers = {"Origin": _SHOP, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/f/shop", body, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def _size(site: Site) -> int:
    folder = site.settings.instance_dir
    return sum(file.stat().st_size for file in folder.glob("site.sqlite*"))
