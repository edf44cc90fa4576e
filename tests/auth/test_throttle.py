"""auth/throttle.py, account_limit.py and known_browser.py: guessing is limited, and locks no owner out."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from types import SimpleNamespace
from uuid import uuid4

import pytest
import redis
from flask import Flask, session
from limits.storage import RedisStorage
from werkzeug.test import TestResponse

from feedback_push import counters
from feedback_push.auth import account_limit, audit, known_browser, throttle
from feedback_push.auth.account_limit import WAIT
from feedback_push.auth.models import User
from tests import servers
from tests.conftest import PASSWORD, make_user
from tests.visits import Page, Visit, Visitor

KEYS = "feedback_push:127.0.0.1:counters:*password:*"


@pytest.fixture(autouse=True)
def counts(redis_url: str) -> Iterator[redis.Redis]:
    """The server that counts, with nothing counted yet."""
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        for key in client.scan_iter(KEYS):
            client.delete(key)
        yield client


@pytest.fixture
def time_passes(counts: redis.Redis) -> Callable[[], None]:
    """Every wait is over, but no try forgotten."""

    def end_waits() -> None:
        for key in counts.scan_iter(f"{KEYS}:wait"):
            counts.delete(key)

    return end_waits


@pytest.fixture
def site(visit: Visit) -> Flask:
    """A site that counts."""
    return visit(ratelimit_enabled=True).application


def somewhere() -> str:
    """Return a network address that no other test uses."""
    return str(f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1")


def browser(site: Flask, address: str | None = None) -> Visitor:
    """Return a new browser, by default with a new address."""
    visitor = Visitor(site)
    visitor.environ_base["REMOTE_ADDR"] = address or somewhere()
    return visitor


def fail(site: Flask, email: str, address: str | None = None, times: int = 4) -> list[TestResponse]:
    """Sign in with a wrong password, from a new address each time unless one is given."""
    return [browser(site, address).sign_in(email, "wrong password") for _ in range(times)]


def start(site: Flask, email: str, address: str | None = None, *, waited: bool = False) -> int:
    """Start an attempt with a wrong password; return the seconds to wait, or 0 if the attempt counts."""
    with site.test_request_context(environ_overrides={"REMOTE_ADDR": address or somewhere()}):
        tries = throttle.of_sign_in(email)
        if waited and tries.delay():
            session["sign_in_wait"][1] -= WAIT
        if seconds := tries.start():
            return seconds
        tries.fail()
        return 0


@pytest.fixture
def exhaust(site: Flask, time_passes: Callable[[], None]) -> Callable[..., None]:
    """Uses up the free tries of an account, from many addresses or from one."""

    def tries(email: str, address: str | None = None) -> None:
        for _ in range(10):
            time_passes()
            assert start(site, email, address) == 0

    return tries


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the clock that browsers wait by, which stands still otherwise."""
    started_at = time.time()

    def move(seconds: float) -> None:
        monkeypatch.setattr(account_limit, "time", SimpleNamespace(time=lambda: started_at + seconds))

    move(0)
    return move


def test_after_ten_wrong_passwords_a_browser_has_to_wait_once_whether_there_is_an_account_or_not(
    site: Flask, staff: User, later: Callable[[float], None]
) -> None:
    answers = []
    for email in (staff.email, "nobody@example.org"):
        assert [start(site, email) for _ in range(11)] == [0] * 10 + [WAIT]
        new = browser(site)
        refused = new.sign_in(email, PASSWORD)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "20")
        later(WAIT - 1)
        assert new.sign_in(email, PASSWORD).status_code == 429  # which makes the wait begin again
        later(2 * WAIT - 2)
        assert new.sign_in(email, PASSWORD).status_code == 429
        later(4 * WAIT)
        assert browser(site).sign_in(email, PASSWORD).status_code == 429  # it has waited in another browser only
        answers.append((new.sign_in(email, PASSWORD).status_code, Page(refused).alert))
        later(0)
    (of_staff, told), (of_nobody, told_nobody) = answers
    assert (of_staff, of_nobody) == (303, 422)
    assert told == told_nobody == f"{throttle.message(WAIT)} A try before that makes the wait begin again."


def test_a_wait_is_for_one_try_at_one_account(site: Flask, staff: User, later: Callable[[float], None]) -> None:
    make_user("ada@example.org")
    for email in (staff.email, "ada@example.org"):
        assert [start(site, email) for _ in range(10)] == [0] * 10
    new = browser(site)
    assert new.sign_in(staff.email, PASSWORD).status_code == 429
    later(WAIT)
    assert new.sign_in(staff.email, "wrong password").status_code == 422
    assert new.sign_in(staff.email, PASSWORD).status_code == 429
    later(2 * WAIT)
    assert new.sign_in("ada@example.org", PASSWORD).status_code == 429
    later(3 * WAIT)
    assert new.sign_in("ada@example.org", PASSWORD).status_code == 303
    assert browser(site).sign_in(staff.email, PASSWORD).status_code == 429


def test_an_account_takes_100_wrong_passwords_an_hour_and_two_of_a_network(
    site: Flask, staff: User, exhaust: Callable[..., None], counts: redis.Redis
) -> None:
    exhaust(staff.email)
    for number in range(45):
        network = f"198.51.{number}"
        assert [start(site, staff.email, f"{network}.{host}", waited=True) for host in (1, 2)] == [0, 0]
        assert 3500 < start(site, staff.email, f"{network}.3", waited=True) <= 3600
        if number < 44:  # somebody in another network still gets in after the one wait
            assert start(site, staff.email) == WAIT
    told = Page(browser(site).sign_in(staff.email, PASSWORD))
    assert told.status == 429
    assert "a passkey, a sign-in link, or a browser that has signed in to this account before" in told.alert
    [key] = [key for key in counts.scan_iter(KEYS) if counts.type(key) == "list" and counts.llen(key) > 2]
    assert counts.llen(key) == 100


def test_the_waits_of_an_address_grow_to_a_quarter_of_an_hour(site: Flask, time_passes: Callable[[], None]) -> None:
    here = somewhere()
    assert [start(site, f"{number}@example.org", here) for number in range(5)] == [0] * 5
    grown = []
    for number in range(12):
        grown.append(start(site, f"before-{number}@example.org", here))
        time_passes()
        assert start(site, f"after-{number}@example.org", here) == 0
    assert grown == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]


@pytest.mark.parametrize("email", ["staff@example.org", "nobody@example.org"])
def test_a_delayed_sign_in_shows_the_wait_and_keeps_the_typed_address(
    site: Flask, staff: User, exhaust: Callable[..., None], email: str
) -> None:
    here = somewhere()
    exhaust(email, here)
    answer = browser(site, here).sign_in(email, PASSWORD)
    page = Page(answer)
    assert page.status == 429
    assert 25 <= int(answer.headers["Retry-After"]) <= 32  # of the network, which is longer than the account's
    assert page.alert.startswith(throttle.message(int(answer.headers["Retry-After"])))
    assert page.fields["email"] == email
    assert page.fields["password"] == ""
    assert PASSWORD not in answer.text


@pytest.mark.parametrize(
    ("seconds", "told"), [(1, "a second"), (2, "2 seconds"), (59, "59 seconds"), (60, "a minute"), (61, "2 minutes"),
                          (900, "15 minutes")]
)  # fmt: skip
@pytest.mark.usefixtures("app")
def test_a_wait_is_a_text_and_never_too_short(seconds: int, told: str) -> None:
    assert throttle.message(seconds) == f"Too many tries. Please wait {told}, then try again."


def test_a_try_that_was_refused_does_not_make_the_wait_longer(
    site: Flask, staff: User, exhaust: Callable[..., None], counts: redis.Redis
) -> None:
    here = somewhere()
    exhaust(staff.email, here)
    before = {key: counts.get(key) for key in counts.scan_iter(f"{KEYS}:tries")}
    assert {answer.status_code for answer in fail(site, staff.email, here)} == {429}
    assert {answer.status_code for answer in fail(site, staff.email)} == {429}
    assert {key: counts.get(key) for key in counts.scan_iter(f"{KEYS}:tries")} == before


def test_after_the_wait_the_right_password_fits_and_its_network_is_forgotten(
    site: Flask, staff: User, time_passes: Callable[[], None], counts: redis.Redis
) -> None:
    here = somewhere()
    assert [start(site, staff.email, here) for _ in range(5)] == [0] * 5
    assert browser(site, here).sign_in(staff.email, PASSWORD).status_code == 429
    time_passes()
    assert browser(site, here).sign_in(staff.email, PASSWORD).status_code == 303
    [key] = counts.scan_iter(KEYS)
    assert counts.llen(key) == 5  # the account's, because strangers in other networks may have caused them


def test_strangers_cannot_keep_a_known_browser_out(site: Flask, staff: User, exhaust: Callable[..., None]) -> None:
    here = somewhere()
    known = browser(site, here)
    known.sign_in(staff.email, PASSWORD, remember="y")
    known.sign_out()
    exhaust(staff.email, here)
    assert browser(site, here).sign_in(staff.email, PASSWORD).status_code == 429
    assert browser(site).sign_in(staff.email, PASSWORD).status_code == 429
    assert known.sign_in(staff.email, PASSWORD).status_code == 303
    assert browser(site).sign_in(staff.email, PASSWORD).status_code == 429


def test_a_known_browser_is_slowed_down_too(site: Flask, staff: User, counts: redis.Redis) -> None:
    known = browser(site)
    known.sign_in(staff.email, PASSWORD)
    known.sign_out()
    known.sign_in(staff.email, "wrong password")
    [key] = counts.scan_iter(KEYS)
    assert ":browser:" in key
    counts.set(key, 11, keepttl=True)
    assert known.sign_in(staff.email, "wrong password").status_code == 422
    refused = known.sign_in(staff.email, PASSWORD)
    assert refused.status_code == 429
    assert 100 < int(refused.headers["Retry-After"]) <= 128
    assert browser(site).sign_in(staff.email, PASSWORD).status_code == 303


def test_a_browser_is_known_for_the_account_that_it_has_signed_in_to(
    site: Flask, staff: User, exhaust: Callable[..., None]
) -> None:
    make_user("ada@example.org")
    here = somewhere()
    known = browser(site, here)
    known.sign_in("ada@example.org", PASSWORD)
    known.sign_out()
    exhaust(staff.email, here)
    assert known.sign_in(staff.email, PASSWORD).status_code == 429
    assert known.sign_in("ADA@example.org ", PASSWORD).status_code == 303


@pytest.mark.parametrize("made_up", ["", "x", "W10.x.y", "ImEi.aaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbb", "\x00", "ü"])
def test_a_cookie_that_was_made_up_is_worth_nothing(
    site: Flask, staff: User, exhaust: Callable[..., None], made_up: str
) -> None:
    exhaust(staff.email)
    guesser = browser(site)
    guesser.set_cookie("known_browser", made_up, domain="127.0.0.1")
    assert guesser.sign_in(staff.email, PASSWORD).status_code == 429


def test_a_cookie_of_another_site_or_of_last_year_is_worth_nothing(
    visit: Visit, site: Flask, staff: User, exhaust: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = visit(ratelimit_enabled=True, secret_key="the secret of another site")
    other.sign_in(staff.email, PASSWORD)
    known = browser(site)
    known.sign_in(staff.email, PASSWORD)
    known.sign_out()
    exhaust(staff.email)
    thief = browser(site)
    cookie = other.get_cookie("known_browser", domain="127.0.0.1")
    assert cookie
    thief.set_cookie("known_browser", cookie.value, domain="127.0.0.1")
    assert thief.sign_in(staff.email, PASSWORD).status_code == 429
    monkeypatch.setattr(known_browser, "_LIFETIME", timedelta(seconds=-1))
    assert known.sign_in(staff.email, PASSWORD).status_code == 429


def test_the_cookie_alone_signs_nobody_in(site: Flask, staff: User) -> None:
    known = browser(site)
    known.sign_in(staff.email, PASSWORD)
    known.delete_cookie("session", domain="127.0.0.1")
    assert known.get_cookie("known_browser", domain="127.0.0.1")
    assert not known.signed_in()


def test_all_addresses_of_one_connection_count_together(site: Flask) -> None:
    for host in range(5):
        assert start(site, f"{host}@example.org", f"2001:db8:1:2::{host}") == 0
    assert start(site, "more@example.org", "2001:db8:1:2:ffff::") == 1
    assert start(site, "more@example.org", "2001:db8:1:3::1") == 0


@pytest.mark.parametrize(("proxies", "counted"), [(0, 1), (1, 4)])
def test_an_address_that_a_stranger_claims_evades_nothing(
    visit: Visit, counts: redis.Redis, proxies: int, counted: int
) -> None:
    guesser = browser(visit(ratelimit_enabled=True, trusted_proxies=proxies).application)
    for number in range(4):
        guesser.environ_base["HTTP_X_FORWARDED_FOR"] = f"203.0.113.{number}"
        guesser.sign_in(f"{number}@example.org", "wrong password")
    assert len(list(counts.scan_iter(f"{KEYS}address:*:tries"))) == counted


def test_all_processes_count_together(visit: Visit, staff: User) -> None:
    one, another = (visit(ratelimit_enabled=True).application for _ in range(2))
    here = somewhere()
    assert [start(one, staff.email, here) for _ in range(3)] == [0] * 3
    assert [start(another, staff.email, here) for _ in range(3)] == [0, 0, 1]
    assert [start(one, staff.email) for _ in range(3)] == [0] * 3
    assert [start(another, staff.email) for _ in range(3)] == [0, 0, WAIT]


def test_of_many_at_once_as_few_are_let_in_as_one_after_another(site: Flask, time_passes: Callable[[], None]) -> None:
    together, here = Barrier(12), somewhere()

    def try_now(_: int) -> int:
        together.wait()
        return start(site, "staff@example.org", here)

    with ThreadPoolExecutor(12) as pool:
        for free in (5, 1, 1):
            assert list(pool.map(try_now, range(12))).count(0) == free
            time_passes()


@pytest.mark.parametrize("broker", ["silent", "gone"])
def test_without_redis_each_process_counts_for_itself_and_nobody_waits_for_it(
    visit: Visit,
    staff: User,
    silent_redis_url: str,
    broker: str,
    redis_connections: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counters, "_SECONDS_WITHOUT", 600.0)
    url = silent_redis_url if broker == "silent" else f"redis://127.0.0.1:{servers.free_port()}/0"
    site = visit(ratelimit_enabled=True, redis_url=url).application
    assert [start(site, staff.email, somewhere()) for _ in range(11)] == [0] * 10 + [WAIT]
    assert len(redis_connections) == 1  # only the first waits for Redis


def test_redis_is_asked_again_after_a_while(
    visit: Visit, staff: User, redis_url: str, monkeypatch: pytest.MonkeyPatch, counts: redis.Redis
) -> None:
    port = servers.free_port()
    site = visit(ratelimit_enabled=True, redis_url=f"redis://127.0.0.1:{port}/0").application
    assert start(site, staff.email, somewhere()) == 0
    store = site.extensions["counters"]
    monkeypatch.setattr(store, "_asked_again_at", time.monotonic())
    monkeypatch.setattr(store, "_redis", RedisStorage(redis_url, key_prefix="feedback_push:127.0.0.1:counters"))
    assert start(site, staff.email, somewhere()) == 0
    assert list(counts.scan_iter(f"{KEYS}:tries"))


def test_it_can_be_turned_off(visit: Visit, staff: User, counts: redis.Redis) -> None:
    site = visit(ratelimit_enabled=False).application
    assert {answer.status_code for answer in fail(site, staff.email, somewhere(), times=8)} == {422}
    assert list(counts.scan_iter(KEYS)) == []


def test_what_is_counted_names_nobody_and_is_forgotten_in_time(site: Flask, counts: redis.Redis) -> None:
    for number in range(6):
        start(site, "staff@example.org", f"192.0.2.{number}")
    keys = list(counts.scan_iter(KEYS))
    assert len(keys) == 6 + 2 - 1
    assert not [key for key in keys if "192.0.2" in key or "staff" in key]
    assert all(0 < int(str(counts.ttl(key))) <= 3600 for key in keys)


def test_made_up_accounts_cannot_fill_the_brokers_memory(site: Flask) -> None:
    with site.test_request_context():
        for number in range(2000):
            limit = throttle.of_sign_in(f"{number}@example.org").account
            assert limit
            assert len(limit.account) == 4


def test_that_guessing_was_slowed_down_is_written_down(site: Flask, staff: User) -> None:
    fail(site, staff.email, times=10)
    counted = {entry.event: entry.count for entry in audit.page(about=staff).entries}
    assert counted == {"sign-in-failed": 10, "sign-in-delayed": 1, "account-created": 1}


def test_a_password_that_a_signed_in_user_gives_has_a_count_of_its_own(
    site: Flask, staff: User, exhaust: Callable[..., None]
) -> None:
    exhaust(staff.email)
    with site.test_request_context():
        assert [throttle.of_user(staff).start() for _ in range(6)] == [0, 0, 0, 0, 0, 1]
