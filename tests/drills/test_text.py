"""The cost of text: marks, quotes or long words take at most five times as long as plain letters."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import urlencode, urljoin

import pytest
import requests
from flask import current_app

from feedback_push import links
from feedback_push.config import Settings
from tests import slots
from tests.conftest import make_settings, make_user
from tests.site import Site
from tests.slots import PLAIN, TEXTS, Slot
from tests.test_not_allowed import place_of
from tests.visits import Page

_AT_MOST = 5  # times plain text of the same length
_NOISE = 0.03  # seconds by which two equal answers may differ
_TRIES = 4
_CHOSEN = (
    *("accents of two classes", "points of two classes", "joiners", "nested quotes", "one word", "separators"),
    "all scripts",
)
_LISTS = ("/admin/", "/admin/messages.csv", "/admin/news", "/admin/audit", "/admin/devices", "/login")
_OWNER = "owner@example.org"
_MEAN = "a" + "\u0301\u0323" * 100_000 + "@x.com"  # as an e-mail address
_TIMEOUT = 60.0


class Sender:
    """An administrator and a stranger, who send texts in every part of a request."""

    def __init__(self, site: Site) -> None:
        with site.database():
            made = place_of(current_app._get_current_object(), make_user(_OWNER))  # type: ignore[attr-defined]  # noqa: SLF001
            known = {name: [value] for name, value in made.ids.items()}
        self._url = site.url
        self._people = {"staff": site.staff(_OWNER), "stranger": site.visitor()}
        self._tokens = {name: person.read("/feedback/").fields["csrf_token"] for name, person in self._people.items()}
        every = slots.of(self._read, known)
        self.slots = [slot for slot in every if slot.where != "query" or slot.path in _LISTS]

    def _read(self, address: str) -> Page:
        return self._people[_who(address)].read(address)

    def seconds(self, slot: Slot, content: str) -> float:
        """Return how long the answer to this text takes."""
        name = _who(slot.path)
        asked = slot.request(content)
        headers = {"Referer": self._url, "X-CSRFToken": self._tokens[name], **asked.pop("headers")}
        if slot.where != "cookie":
            headers["Cookie"] = "; ".join(f"{key}={value}" for key, value in self._people[name].cookies.items())
        begun = time.perf_counter()
        answer = _ask(urljoin(self._url, asked.pop("path")), headers=headers, **asked)
        assert answer.status_code < 500, str(slot)
        return time.perf_counter() - begun


class Figures(NamedTuple):
    """How many seconds the plain text and the slowest of the others took, and its name."""

    plain: float
    slowest: float
    name: str


@pytest.fixture
def site(settings: Settings) -> Iterator[Site]:
    """A site on SQLite."""
    with Site(settings) as site:
        site.serve()
        yield site
        assert site.failures == []


@pytest.fixture
def postgresql_site(fresh_postgresql_url: str, redis_url: str, tmp_path: Path) -> Iterator[Site]:
    """A site on PostgreSQL."""
    with Site(make_settings(fresh_postgresql_url, redis_url, tmp_path)) as site:
        site.serve()
        yield site
        assert site.failures == []


@pytest.mark.timeout(300)
def test_no_text_takes_much_longer_than_plain_text_anywhere(site: Site) -> None:
    sender = Sender(site)
    slow = []
    for slot in sender.slots:
        figures = _figures(lambda content, slot=slot: sender.seconds(slot, content), slot)  # type: ignore[misc]
        print(f"{slot}: plain {figures.plain * 1000:.0f} ms, slowest {figures.slowest * 1000:.0f} ms ({figures.name})")
        if figures.slowest > _AT_MOST * figures.plain + _NOISE:
            slow.append(str(slot))
    assert slow == []


def test_visitors_do_not_notice_an_address_of_200_000_marks(site: Site) -> None:
    visitor = requests.Session()
    visitor.trust_env = False

    def wait(_: object = None) -> float:
        begun = time.perf_counter()
        visitor.get(f"{site.url}/healthz", timeout=_TIMEOUT).raise_for_status()
        return time.perf_counter() - begun

    idle = median(map(wait, range(20)))
    plain, _, _ = _post(site, submitter_email="ą" * len(_MEAN))
    with ThreadPoolExecutor(1) as attacker:
        sent = attacker.submit(_post, site, submitter_email=_MEAN)
        waits = list(_while_running(sent, wait))
    seconds, code, size = sent.result()
    print(f"an address of 200,000 marks: {seconds:.2f} s, plain letters {plain:.2f} s, answer of {size} bytes")
    print(f"a visitor meanwhile: median {median(waits):.3f} s, worst {max(waits):.3f} s; idle {idle:.3f} s")
    assert code == 422
    assert size < 20_000
    assert seconds <= _AT_MOST * plain + _NOISE
    assert max(waits) < max(1.0, 20 * idle)


def test_messages_of_nothing_but_marks_keep_nobody_from_searching(postgresql_site: Site) -> None:
    site, staff = postgresql_site, postgresql_site.staff(_OWNER)
    plain, _, _ = _post(site, content="ą" * 200_000)
    pairs = [TEXTS[name] * most for name in _CHOSEN[:2] for most in [10_000] * 6 + [99_000]]
    answers = [_post(site, content=f"needle {marks}") for marks in pairs]
    slowest = max(seconds for seconds, _, _ in answers)
    print(f"posting up to 198,000 marks: {slowest:.2f} s at most, plain letters {plain:.2f} s")
    assert {code for _, code, _ in answers} == {303}
    assert slowest <= _AT_MOST * plain + _NOISE
    begun = time.perf_counter()
    page = staff.dashboard("?q=needle")
    print(f"searching them: {time.perf_counter() - begun:.2f} s")
    assert page.status == 200
    assert len(page.all("input", name="id")) == len(pairs)


def _who(path: str) -> str:
    return "stranger" if path == "/login" else "staff"  # a signed-in browser gets no sign-in form


def _figures(seconds: Callable[[str], float], slot: Slot) -> Figures:
    plain = min(seconds(slot.text(PLAIN)) for _ in range(2))
    slowest, name = 0.0, ""
    for chosen in _CHOSEN:
        took = seconds(slot.text(TEXTS[chosen]))
        for _ in range(_TRIES):
            if took <= _AT_MOST * plain + _NOISE:
                break
            plain, took = max(plain, seconds(slot.text(PLAIN))), min(took, seconds(slot.text(TEXTS[chosen])))
        slowest, name = max((slowest, name), (took, chosen))
    return Figures(plain, slowest, name)


def _post(site: Site, **typed: str) -> tuple[float, int, int]:
    """Send the feedback form: how many seconds it took, and status and size of the answer."""
    with site.visitor() as visitor:
        token = visitor.read("/feedback/").fields["csrf_token"]
        fields = {"content": "Hello", "submitter_name": "Ada", "csrf_token": token, **typed}
        headers = {"Referer": site.url, "Content-Type": "application/x-www-form-urlencoded"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        body = urlencode(fields).encode()
    begun = time.perf_counter()
    answer = _ask(f"{site.url}/feedback/", method="POST", headers=headers, data=body)
    return time.perf_counter() - begun, answer.status_code, len(answer.content)


def _ask(address: str, *, method: str, **more: Any) -> requests.Response:
    with requests.Session() as http:
        http.trust_env = False
        return http.request(method, address, timeout=_TIMEOUT, allow_redirects=False, **more)


def _while_running(sent: Future[Any], wait: Callable[[], float]) -> Iterator[float]:
    yield wait()
    while not sent.done():
        yield wait()
        time.sleep(0.01)


def test_links_are_found_in_linear_time() -> None:
    for piece in (
        "http://a.b/(",
        "http://a.b/[ ",
        "a@b.com ",
        "mailto:",
        "http://a.b/,",
        "www.ü.de ",
        "((",
        "http://a:b@",
    ):
        for word in (100_000, 990):
            text = f"{piece * (word // len(piece))} " * (100_000 // word)
            once, twice = (min(_seconds(text * times) for _ in range(3)) for times in (1, 2))
            assert twice < 3 * once + _NOISE, (piece, word)


def _seconds(text: str) -> float:
    begun = time.process_time()
    links.linked(text)
    return time.process_time() - begun
