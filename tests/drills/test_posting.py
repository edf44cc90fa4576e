"""Flood the form of a real site: bound the stored messages and notifications, and let a visitor through."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import altcha
import pytest
import requests
from sqlalchemy import func, select

from feedback_push.config import Settings
from feedback_push.database import db
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push.models import OutboxEntry
from tests.conftest import make_settings
from tests.site import Site
from tests.visits import Page

_LARGE = "x" * 190_000


@pytest.fixture
def site(sqlite_url: str, own_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A defended site behind one proxy, with its web server alone."""
    settings = make_settings(sqlite_url, own_redis_url, tmp_path_factory.mktemp("drill"))
    defended: Settings = replace(settings, ratelimit_enabled=True, form_defence=True, trusted_proxies=1)
    with Site(defended) as running:
        running.serve()
        yield running


class Sender:
    """A client with its own address in the proxy's header."""

    def __init__(self, site: Site, address: str) -> None:
        self._form = f"{site.url}/feedback/"
        self._http = requests.Session()
        self._http.trust_env = False
        self._http.headers.update({"X-Forwarded-For": address, "Referer": self._form})

    def open(self, content: str = "Hello") -> dict[str, str]:
        """Open the form and fill it in."""
        fields = Page(self._http.get(self._form, timeout=20)).fields
        return {**fields, "content": content, "submitter_name": "Ada"}

    def post(self, fields: dict[str, str]) -> requests.Response:
        return self._http.post(self._form, fields, allow_redirects=False, timeout=20)

    def prove(self) -> str:
        """Solve a challenge as the form's script does."""
        answer = self._http.get(f"{self._form}challenge", timeout=20)
        challenge = altcha.Challenge.from_dict(answer.json())
        solution = altcha.solve_challenge(challenge)
        assert solution
        return altcha.Payload(challenge, solution).to_base64()

    def confirm(self) -> requests.Response:
        page = self._http.get(f"{self._form}confirm/", timeout=20)
        time.sleep(1.1)
        return self._http.post(f"{self._form}confirm/", Page(page).fields, allow_redirects=False, timeout=20)


def get_through(site: Site, address: str) -> float:
    """Let a real visitor write; the seconds from pressing the button to being thanked."""
    visitor = Sender(site, address)
    fields = visitor.open("A real message")
    time.sleep(2.1)  # while they type, and their browser computes
    fields["proof"] = visitor.prove()
    began = time.monotonic()
    answer = visitor.post(fields)
    took = time.monotonic() - began
    assert (answer.status_code, answer.headers["Location"]) == (303, "/feedback/complete/")
    return took


def at_once(count: int, post: Callable[[int], int]) -> Counter[int]:
    with ThreadPoolExecutor(4) as threads:
        return Counter(threads.map(post, range(count)))


def stored(site: Site) -> Counter[MessageState]:
    with site.database():
        return Counter(db.session.scalars(select(Message.state)))


def notifications(site: Site) -> int:
    with site.database():
        return db.session.scalar(select(func.count()).select_from(OutboxEntry)) or 0


def test_310_rejected_posts_from_one_network_close_the_form_to_nobody(site: Site) -> None:
    idle = get_through(site, "203.0.113.1")
    robots = [Sender(site, f"[2001:db8:1:{number:x}::1]:{40000 + number}") for number in range(16)]  # of one /56
    forms = [robot.open("") for robot in robots]
    statuses = at_once(310, lambda number: robots[number % 16].post(forms[number % 16]).status_code)
    neighbour, stranger = get_through(site, "2001:db8:1:1::2"), get_through(site, "198.51.100.7")
    print(f"310 rejected posts {dict(statuses)}: thanked after {neighbour:.2f} s there, {stranger:.2f} s elsewhere")
    assert statuses.keys() <= {422, 429}
    assert stored(site) == {MessageState.NEW: 3}
    assert max(neighbour, stranger) < max(1.0, 10 * idle)


def test_18_unproven_posts_and_one_confirmation_make_one_notification(site: Site) -> None:
    robot = Sender(site, "203.0.113.7")
    form = robot.open("Buy this")
    time.sleep(2.1)
    statuses = Counter(robot.post(form).status_code for _ in range(18))
    assert robot.confirm().status_code == 303
    print(f"18 unproven posts {dict(statuses)} and one confirmation: {notifications(site)} notification")
    assert notifications(site) == 1
    assert stored(site) == {MessageState.NEW: 1, MessageState.SPAM: 17}


def test_a_flood_without_proof_stays_within_the_bytes_of_its_network(site: Site) -> None:
    robots = [Sender(site, f"2001:db8:2:{number:x}::1") for number in range(8)]  # of one /56
    forms = [robot.open() for robot in robots]
    time.sleep(2.1)

    def flood(number: int, content: str) -> int:
        return robots[number % 8].post({**forms[number % 8], "content": content}).status_code

    large, small = at_once(160, partial(flood, content=_LARGE)), at_once(200, partial(flood, content="x" * 20_000))
    with site.database():
        kept = (db.session.scalar(select(func.sum(Message.size))) or 0) / 1024**2
    took = get_through(site, "2001:db8:2:1::9")
    print(f"a flood of 34 MB {dict(large + small)}: {kept:.1f} MB stored, a visitor there thanked after {took:.2f} s")
    assert kept <= 2  # the large messages of a /56 in an hour
    assert large[429] + large[503] + small[429] + small[503] > 300  # 503: only one large form is read at a time


def test_an_office_behind_one_address_gets_through_one_after_the_other(site: Site) -> None:
    person = Sender(site, "203.0.113.9")
    form = person.open("We want better coffee")
    time.sleep(2.1)
    took, statuses = [], []
    for _ in range(45):  # more than compute the least
        began = time.monotonic()
        proof = person.prove()
        took.append(time.monotonic() - began)
        statuses.append(person.post({**form, "proof": proof}).status_code)
    first, last = sum(took[:30]) / 30, sum(took[30:]) / 15
    print(f"45 people behind one address {dict(Counter(statuses))}: {first:.2f} s to compute, the last {last:.2f} s")
    assert statuses == [303] * 45
    assert stored(site) == {MessageState.NEW: 45}
    assert first < last < 10 * first
