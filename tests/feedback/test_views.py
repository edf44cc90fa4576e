"""feedback/views.py: store a visitor's message, and lose no typed text in any failure."""

import json
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest
import redis
from flask import Flask
from sqlalchemy import func, select, text
from werkzeug.test import TestResponse

from feedback_push import network_address
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback import personal_data
from feedback_push.feedback.models import Message
from feedback_push.push import notification
from feedback_push.push.claims import Entry
from feedback_push.push.models import OutboxEntry, PreviewLevel
from tests import servers
from tests.conftest import PASSWORD, make_user
from tests.visits import Page, Visit, Visitor

TYPED = {
    "content": "First line\n\n  <b>second</b> & \"third\" 'line' 👩‍👩‍👧‍👦 \\",
    "submitter_name": 'Ada "Countess" <Lovelace>',
    "submitter_email": "ada@example.org",
}


@pytest.fixture
def limited(visit: Visit) -> Visit:
    """Return visitors of a site with rate limits, at an address that no other test uses."""

    def visitor_of(**changes: object) -> Visitor:
        visitor = visit(ratelimit_enabled=True, **changes)
        visitor.environ_base["REMOTE_ADDR"] = own_address()
        return visitor

    return visitor_of


def own_address() -> str:
    return f"2001:db8:{uuid4().hex[:4]}:{uuid4().hex[:4]}::1"


def nobody() -> str:
    return f"127.0.0.1:{servers.free_port()}"


def messages() -> list[Message]:
    return list(db.session.scalars(select(Message).order_by(Message.id)))


def keeps(answer: TestResponse, typed: dict[str, str]) -> Page:
    """Return the page of a response; its form must contain the typed text and can be sent again."""
    page = Page(answer)
    assert {name: page.fields[name] for name in typed} == typed
    assert page.fields["csrf_token"]
    return page


def send_often(visitor: Visitor, times: int) -> list[int]:
    form = {**visitor.read("/feedback/").fields, **TYPED}
    return [visitor.post("/feedback/", data=form).status_code for _ in range(times)]


def test_the_site_opens_with_the_form(client: Visitor) -> None:
    answer = client.get("/")
    assert (answer.status_code, answer.location) == (302, "/feedback/")
    page = client.read("/feedback/")
    assert page.status == 200
    assert page.fields.keys() == {"csrf_token", "content", "submitter_name", "submitter_email"}
    assert page.alert == ""
    assert page.one("textarea", name="content").attributes.get("required") is not None
    assert page.one("input", name="submitter_name").attributes["maxlength"] == "200"


def test_a_message_is_stored_and_thanked_for(app: Flask) -> None:
    visitor = Visitor(app)
    answer = visitor.send("/feedback/", **TYPED)
    assert (answer.status_code, answer.location) == (303, "/feedback/complete/")
    assert "Thank you" in visitor.get("/feedback/complete/").text
    [stored] = messages()
    assert {name: getattr(stored, name) for name in TYPED} == TYPED
    assert stored.user_id is None
    assert stored.outbox_id is not None


def test_the_address_may_be_left_out(client: Visitor) -> None:
    assert client.send("/feedback/", content="Hello", submitter_name="Ada").status_code == 303
    assert messages()[0].submitter_email == ""


def test_an_address_that_cannot_be_mailed_stops_no_message_and_its_person_is_found(client: Visitor) -> None:
    typed = {**TYPED, "submitter_email": " A..b.@Docomo.ne.jp "}
    assert client.send("/feedback/", **typed).status_code == 303
    assert messages()[0].submitter_email == "A..b.@Docomo.ne.jp"
    assert personal_data.count("a..b.@docomo.ne.jp") == 1


@pytest.mark.server
def test_a_task_names_the_new_entry(visit: Visit, tmp_path: Path) -> None:
    with servers.redis_server(tmp_path) as url, redis.Redis.from_url(url, decode_responses=True) as broker:
        assert visit(redis_url=url).send("/feedback/", **TYPED).status_code == 303
        servers.wait_until(lambda: broker.llen("feedback_push:127.0.0.1:celery") == 1, what="the task")
        task = json.loads(str(broker.lindex("feedback_push:127.0.0.1:celery", 0)))
        assert (task["headers"]["task"], task["headers"]["argsrepr"]) == ("push.fan_out", "(1,)")


def test_the_message_of_whoever_is_signed_in_bears_their_name(app: Flask) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    visitor.send("/feedback/", **TYPED)
    assert messages()[0].user == user


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": ""},
        {"content": "  \n "},
        {"content": "\u200b\u2800"},
        {"submitter_name": ""},
        {"submitter_email": "not an address"},
        {"content": "", "submitter_name": "", "submitter_email": "@"},
    ],
    ids="-".join,
)
def test_a_bad_field_is_marked_and_nothing_is_lost(client: Visitor, wrong: dict[str, str]) -> None:
    typed = {**TYPED, **wrong}
    page = keeps(client.send("/feedback/", **typed), typed)
    assert page.status == 422
    assert page.one("title").words.startswith("Error: ")
    assert "Nothing you typed is lost" in page.alert
    for name in TYPED:
        [field] = page.all(name=name)
        assert (field.attributes.get("aria-invalid") == "true") is (name in wrong)
        if name in wrong:
            assert page.one(id=field.attributes["aria-describedby"].split()[0]).words
    assert messages() == []


def test_of_what_is_too_long_no_more_comes_back_than_is_taken_and_the_page_says_so(client: Visitor) -> None:
    much = {"content": "é" * 200_001, "submitter_name": "x" * 5_000, "submitter_email": "a" + "\u0301\u0323" * 5_000}
    for page in (Page(client.send("/feedback/", **much)), Page(client.post("/feedback/", data=much))):
        assert page.status in (422, 400)  # the second has no token
        for name, most in (("content", 200_000), ("submitter_name", 200), ("submitter_email", 320)):
            [field] = page.all(name=name)
            assert page.fields[name] == much[name][:most]
            [said] = [page.one(id=said).words for said in field.attributes["aria-describedby"].split()[:1]]
            assert said.startswith(f"Please use at most {most:,} characters.")
    assert messages() == []


def test_every_typed_text_can_be_stored(any_app: Flask) -> None:
    visitor = Visitor(any_app)
    same = [
        "x" * 100_000,
        "👩‍👩‍👧‍👦 سلام 你好",
        "x\u2028\ufeff\x07\x1b",
        "'; DROP TABLE feedback_message; --",
        "{{ 7 * 7 }} %s {0}",
    ]
    stored = {**{content: content for content in same}, "a\0b\0": "ab", "\r\n one\r\ntwo ": "\n one\ntwo "}
    for content in stored:
        assert visitor.send("/feedback/", content=content, submitter_name=content[-200:]).status_code == 303
    assert [message.content for message in messages()] == list(stored.values())


def test_bytes_that_are_no_text_are_stored_as_they_were_escaped(app: Flask) -> None:
    visitor = Visitor(app)
    token = visitor.read("/feedback/").fields["csrf_token"]
    body = f"csrf_token={token}&content=%ED%A0%80%FFx&submitter_name=%00A%ED%B0%80".encode()
    answer = visitor.post("/feedback/", data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 303
    [message] = messages()
    assert (message.content, message.submitter_name) == ("%ED%A0%80%FFx", "A%ED%B0%80")


@pytest.mark.parametrize("character", ["x", "ж", "語", "👩"])
def test_the_longest_message_may_be_in_any_script(client: Visitor, character: str) -> None:
    assert client.send("/feedback/", content=character * 200_000, submitter_name="Ada").status_code == 303
    assert messages()[0].content == character * 200_000


@pytest.mark.parametrize("token", [None, "", "made up"])
def test_a_form_without_its_token_keeps_what_was_typed_and_can_be_sent_again(
    client: Visitor, token: str | None
) -> None:
    client.get("/feedback/")
    answer = client.post("/feedback/", data=TYPED if token is None else {**TYPED, "csrf_token": token})
    page = keeps(answer, TYPED)
    assert page.status == 400
    assert "Nothing is lost" in page.alert
    assert messages() == []
    assert client.post("/feedback/", data=page.fields).status_code == 303
    assert messages()[0].content == TYPED["content"]


def test_a_form_that_stood_open_while_its_cookie_went_away_can_be_sent_again(client: Visitor) -> None:
    form = {**client.read("/feedback/").fields, **TYPED}
    client.delete_cookie("session", domain="127.0.0.1")
    page = keeps(client.post("/feedback/", data=form), TYPED)
    assert page.status == 400
    assert client.post("/feedback/", data=page.fields).status_code == 303


def test_a_message_without_its_outbox_entry_is_not_stored_but_kept_in_the_form(app: Flask) -> None:
    visitor = Visitor(app)
    rename("push_outbox", "elsewhere")
    page = keeps(visitor.send("/feedback/", **TYPED), TYPED)
    assert page.status == 503
    assert "still here" in page.alert
    assert db.session.scalar(select(func.count()).select_from(Message)) == 0
    rename("elsewhere", "push_outbox")
    assert visitor.post("/feedback/", data=page.fields).status_code == 303
    assert (len(messages()), db.session.scalar(select(func.count()).select_from(OutboxEntry))) == (1, 1)


def rename(table: str, name: str) -> None:
    db.session.execute(text(f"ALTER TABLE {table} RENAME TO {name}"))
    db.session.commit()


def test_without_the_database_the_form_opens_and_keeps_what_was_typed(visit: Visit) -> None:
    visitor = visit(database_url=f"postgresql+psycopg://{nobody()}/none")
    assert visitor.get("/feedback/").status_code == 200
    page = keeps(visitor.send("/feedback/", **TYPED), TYPED)
    assert page.status == 503
    assert "cannot store your message right now" in page.alert


def test_without_the_database_also_staff_keep_what_they_typed(visit: Visit, client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    cookie = client.get_cookie("session", domain="127.0.0.1")
    assert cookie
    visitor = visit(database_url=f"postgresql+psycopg://{nobody()}/none")
    visitor.set_cookie("session", cookie.value, domain="127.0.0.1")
    page = keeps(visitor.send("/feedback/", **TYPED), TYPED)
    assert page.status == 503


def test_when_every_connection_is_taken_the_form_keeps_what_was_typed(
    visit: Visit, fresh_postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor = visit(database_url=fresh_postgresql_url)
    with visitor.application.app_context(), ExitStack() as taken:
        monkeypatch.setattr(db.engine.pool, "_timeout", 0.05)
        for _ in range(15):
            taken.enter_context(db.engine.connect())
        page = keeps(visitor.send("/feedback/", **TYPED), TYPED)
    assert page.status == 503


@pytest.mark.parametrize("broker", ["gone", "silent"])
def test_without_the_broker_a_message_is_stored_and_nobody_waits(
    visit: Visit, silent_redis_url: str, broker: str, redis_connections: list[str]
) -> None:
    visitor = visit(redis_url=silent_redis_url if broker == "silent" else f"redis://{nobody()}/0")
    form = {**visitor.read("/feedback/").fields, **TYPED}
    for _ in range(4):
        assert visitor.post("/feedback/", data=form).status_code == 303
    assert redis_connections == []  # another thread publishes the tasks
    with visitor.application.app_context():
        assert len(messages()) == 4


def test_without_defence_who_writes_too_often_is_asked_to_wait_and_keeps_what_was_typed(limited: Visit) -> None:
    visitor = limited()
    assert send_often(visitor, 20) == [303] * 20
    answer = visitor.send("/feedback/", **TYPED)
    page = keeps(answer, TYPED)
    assert page.status == 429
    assert "Nothing is lost" in page.alert
    assert 1 <= int(answer.headers["Retry-After"]) <= 61
    with visitor.application.app_context():
        assert len(messages()) == 20
    visitor.environ_base["REMOTE_ADDR"] = own_address()
    assert visitor.send("/feedback/", **TYPED).status_code == 303


@pytest.mark.slow
def test_without_defence_a_flood_from_many_addresses_is_stopped_as_well(limited: Visit, silent_redis_url: str) -> None:
    visitor = limited(redis_url=silent_redis_url)  # so that the flood ends with this test
    form = {**visitor.read("/feedback/").fields, **TYPED}

    def send() -> int:
        visitor.environ_base["REMOTE_ADDR"] = own_address()
        return visitor.post("/feedback/", data=form).status_code

    answers = [send() for _ in range(340)]
    assert answers[:300] == [303] * 300
    assert Counter(answers[300:])[429] > 5  # not all: the window slides meanwhile


def test_a_limit_keeps_nobodys_address(limited: Visit, redis_url: str) -> None:
    visitor = limited()
    address = visitor.environ_base["REMOTE_ADDR"]
    visitor.send("/feedback/", **TYPED)
    with redis.Redis.from_url(redis_url, decode_responses=True) as server, visitor.application.app_context():
        keys = list(server.scan_iter("feedback_push:127.0.0.1:counters*"))
        assert any(network_address.keyed_hash(address) in key for key in keys)
        assert not any(address in key or address.removesuffix("::1") in key for key in keys)
        assert all(0 < server.ttl(key) <= 2 * 86400 for key in keys if "form-posts/" not in key)  # counts of outcomes


@pytest.mark.server
def test_all_processes_count_together(limited: Visit) -> None:
    one = limited()
    assert send_often(one, 20) == [303] * 20
    another = limited()
    another.environ_base["REMOTE_ADDR"] = one.environ_base["REMOTE_ADDR"]
    assert send_often(another, 1) == [429]


@pytest.mark.parametrize("broker", ["gone", "silent"])
def test_without_redis_each_process_counts_for_itself(limited: Visit, silent_redis_url: str, broker: str) -> None:
    visitor = limited(redis_url=silent_redis_url if broker == "silent" else f"redis://{nobody()}/0")
    answers = send_often(visitor, 25)
    assert (answers[:20], answers[-1]) == ([303] * 20, 429)  # in between the window may slide
    keeps(visitor.send("/feedback/", **TYPED), TYPED)


@pytest.mark.parametrize(("proxies", "last"), [(0, 429), (1, 303)])
def test_an_address_that_a_stranger_claims_evades_nothing(limited: Visit, proxies: int, last: int) -> None:
    visitor = limited(trusted_proxies=proxies)
    form = {**visitor.read("/feedback/").fields, **TYPED}
    codes = [
        visitor.post("/feedback/", data=form, headers={"X-Forwarded-For": own_address()}).status_code for _ in range(21)
    ]
    assert codes == [303] * 20 + [last]


def test_reading_is_not_limited(limited: Visit) -> None:
    visitor = limited()
    assert {visitor.get("/feedback/").status_code for _ in range(30)} == {200}


def test_a_name_may_be_left_out_where_the_operator_allows_it(visit: Visit, staff: User) -> None:
    assert visit().send("/feedback/", content="Hello", submitter_name=" ").status_code == 422
    visitor = visit(form_name_optional=True)
    page = visitor.read("/feedback/")
    assert page.one("label", for_="submitter_name").words == "Your name (optional)"
    assert "required" not in page.one("input", name="submitter_name").attributes
    for name in ("", " \N{ZERO WIDTH SPACE} ", "Ada"):
        assert visitor.send("/feedback/", content="Hello", submitter_name=name).status_code == 303
    assert Page(visitor.send("/feedback/", content="Hello", submitter_name="x" * 201)).status == 422
    stored = db.session.scalars(select(Message.submitter_name).order_by(Message.id))
    assert list(stored) == ["", "", "Ada"]
    visitor.sign_in(staff.email, PASSWORD)
    names = [link.words for link in visitor.read("/admin/").all("a", class_="row-link")]
    assert names == ["Ada", "Anonymous", "Anonymous"]
    assert visitor.read("/admin/messages/1").one("h1").words == "Anonymous"
    told = visitor.get("/admin/news?after=0").get_json()["messages"]
    assert [message["name"] for message in told] == [[["Ada", False]], [["Anonymous", False]], [["Anonymous", False]]]
    titles = []
    for payload in db.session.scalars(select(OutboxEntry.payload).order_by(OutboxEntry.id)):
        entry = Entry(1, payload, "topic", "high", utcnow(), "feedback", 1, utcnow(), None)
        for shows in PreviewLevel:
            made = json.loads(notification.payload_for(entry, shows, "en"))["notification"]
            titles.append((made["title"], made.get("body")))
    nameless = [("Anonymous:", "Hello"), ("Anonymous:", None), ("New message", None)]
    assert titles == [*nameless, *nameless, ("Ada:", "Hello"), ("Ada:", None), ("New message", None)]


def test_a_message_cannot_pretend_to_have_no_name(client: Visitor) -> None:
    client.send("/feedback/", content='"title":":"', submitter_name='"title":":"')
    [payload] = db.session.scalars(select(OutboxEntry.payload))
    entry = Entry(1, payload, "topic", "high", utcnow(), "feedback", 1, utcnow(), None)
    assert notification.payload_for(entry, PreviewLevel.ALL, "en") == payload
