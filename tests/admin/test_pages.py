"""The pages of admin/, as an administrator's browser sees it."""

import re
from datetime import UTC, datetime
from urllib.parse import parse_qs, urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message
from feedback_push.push import circuit_breaker, keys
from feedback_push.push.models import DeviceState, Subscription
from feedback_push.webpush.responses import Misconfigured
from tests.admin.rows import device
from tests.conftest import KEYS, PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Page, Visit, Visitor

SCRIPTS = ["sw.js", "push-subscribe.js"]


def inbox_of(page: Page) -> list[str]:
    return [link.words for link in page.all("a", class_="row-link")]


def next_page(visitor: Visitor, page: Page) -> Page:
    return visitor.read(page.one("a", rel="next").attributes["href"])


def device_ids() -> set[int]:
    return set(db.session.scalars(select(Subscription.id)))


@pytest.mark.parametrize(
    "address",
    ["/admin/", "/admin/?before=7", "/admin/messages/7", "/admin/devices", "/admin/?before=7&x=ü%2F"],
)
def test_strangers_are_sent_to_sign_in_and_come_back_to_where_they_were(
    client: Visitor, staff: User, address: str
) -> None:
    answer = client.get(address)
    assert answer.status_code == 302
    assert answer.location
    assert urlsplit(answer.location)[:3] == ("", "", "/login")
    wanted = parse_qs(urlsplit(answer.location).query)["next"][0]
    arrived = client.send(answer.location, email=staff.email, password=PASSWORD).location
    assert urljoin("http://x/", arrived or "") == urljoin("http://x/", wanted).replace("ü", "%C3%BC")
    assert urlsplit(wanted).path == urlsplit(address).path


def test_strangers_can_change_nothing(client: Visitor, staff: User) -> None:
    mine = device(staff)
    token = client.read("/login").fields["csrf_token"]
    answer = client.post(f"/admin/devices/{mine.id}/remove", data={"csrf_token": token})
    assert (answer.status_code, answer.location) == (302, "/login")
    assert device_ids() == {mine.id}


@pytest.mark.usefixtures("dashboard")
def test_a_page_that_is_not_there_is_not_there(client: Visitor) -> None:
    for address in ("nothing", "messages/", "messages/abc", "messages/0", "messages/-1", "messages/4711"):
        assert client.get(f"/admin/{address}").status_code == 404
    for number in (2**31, 2**63 - 1, 2**63, 10**40):
        assert client.get(f"/admin/messages/{number}").status_code == 404


def test_a_visitors_text_is_shown_as_text_on_every_page(dashboard: Visitor) -> None:
    markup = "<img src=x onerror=alert(1)>{}"
    sent = receive(
        content=markup.format("content"), submitter_name=markup.format("name"), submitter_email=markup.format("email")
    )
    for address in ("/admin/", "/admin/?q=img", f"/admin/messages/{sent.id}"):
        html = re.sub("</?mark>", "", dashboard.get(address).text)
        assert "&lt;img src=x onerror=alert(1)&gt;name" in html
        assert "&lt;img src=x onerror=alert(1)&gt;content" in html
        assert "<img src=x" not in html


def test_an_empty_inbox_shows_the_way_to_the_form(dashboard: Visitor) -> None:
    page = dashboard.read("/admin/")
    assert "No message yet" in page.one(id="empty").words
    assert [link for link in page.all("a") if link.attributes["href"] == "http://127.0.0.1:8000/feedback/"]
    assert page.one("title").words == "Inbox · Feedback Push"


def test_the_newest_message_comes_first_and_the_unread_are_marked(dashboard: Visitor) -> None:
    receive(submitter_name="First")
    second = receive(submitter_name="Second", content="Line one\nline two")
    receive(submitter_name="<b>Third</b>")
    assert dashboard.get(f"/admin/messages/{second.id}").status_code == 200
    page = dashboard.read("/admin/")
    assert inbox_of(page) == ["<b>Third</b>", "Second", "First"]
    assert [row.words.split()[0] for row in page.all("li", class_="unread")] == ["<b>Third</b>", "First"]
    assert page.one(id="unread").words == "2 unread"
    assert page.one("title").words.startswith("(2) ")
    assert "Line one line two" in page.one(id="messages").words


def test_a_very_long_message_is_cut_in_the_list(dashboard: Visitor) -> None:
    receive(content="word " * 20_000)
    assert len(dashboard.get("/admin/").data) < 25_000


def test_pages_follow_each_other_even_when_a_message_arrives_meanwhile(app: Flask) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    for number in range(101):
        receive(submitter_name=f"Visitor {number}")
    pages = [visitor.read("/admin/")]
    receive(submitter_name="Visitor 101")
    pages += [next_page(visitor, pages[0])]
    pages += [next_page(visitor, pages[1])]
    assert [len(inbox_of(page)) for page in pages] == [50, 50, 1]
    assert [name for page in pages for name in inbox_of(page)] == [
        f"Visitor {number}" for number in reversed(range(101))
    ]
    assert pages[2].all("a", rel="next") == []
    assert inbox_of(visitor.read("/admin/"))[0] == "Visitor 101"


def test_a_made_up_cursor_does_no_harm(any_app: Flask) -> None:
    visitor, user = Visitor(any_app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    receive()
    made_up = ["0", "-1", "x", "", "1.5", "\0", "9223372036854775807", "9223372036854775808", "9" * 40, f"-{'9' * 40}"]
    codes = {cursor: visitor.get("/admin/", query_string={"before": cursor}).status_code for cursor in made_up}
    assert codes == dict.fromkeys(made_up, 200)


def test_after_the_oldest_message_there_is_a_way_back(dashboard: Visitor) -> None:
    receive()
    page = dashboard.read("/admin/?before=1")
    assert "No older messages" in page.one(id="empty").words
    assert [link for link in page.all("a") if link.words == "← Newest messages"]


def test_a_message_is_shown_as_it_was_written_and_is_read_from_then_on(app: Flask) -> None:
    visitor, user = Visitor(app), make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    written = receive(content="Hello\n\n  <script>alert(1)</script> & you", submitter_name="<i>Ada</i>")
    page = visitor.read(f"/admin/messages/{written.id}")
    assert page.one(id="content").raw == "Hello\n\n  <script>alert(1)</script> & you"
    assert page.one("h1").words == "<i>Ada</i>"
    assert "no e-mail address" in page.one("article").words
    assert "mailto:" not in visitor.get(f"/admin/messages/{written.id}").text
    db.session.refresh(written)
    opened_at = written.read_at
    assert opened_at
    visitor.get(f"/admin/messages/{written.id}")
    db.session.refresh(written)
    assert written.read_at == opened_at
    assert visitor.read("/admin/").all("li", class_="unread") == []


@pytest.mark.parametrize(
    ("email", "link"),
    [
        ("ada@example.org", "mailto:ada@example.org?subject=Your%20feedback"),
        ("ada+b?c=d&e@example.org", "mailto:ada%2Bb%3Fc%3Dd%26e@example.org?subject=Your%20feedback"),
        ("ümlaut@bücher.example", "mailto:%C3%BCmlaut@b%C3%BCcher.example?subject=Your%20feedback"),
    ],
)
def test_a_visitor_can_be_answered_and_puts_nothing_else_into_the_link(
    dashboard: Visitor, email: str, link: str
) -> None:
    page = dashboard.read(f"/admin/messages/{receive(submitter_email=email).id}")
    [address] = [each.attributes["href"] for each in page.all("a") if each.attributes["href"].startswith("mailto:")]
    assert address == f"{link}&body=%0D%0A%0D%0A%3E%20Hello"
    assert email in page.one("article").words


def test_everybody_sees_and_removes_only_their_own_devices(app: Flask) -> None:
    ada, bob = make_user("ada@example.org"), make_user("bob@example.org")
    mine, another = device(ada, name="Firefox on Linux"), device(ada, name="Chrome on Android")
    theirs = device(bob, name="Safari on iPhone")
    gone = device(ada, name="Opera on Mac", state=DeviceState.GONE, gone_at=utcnow())
    visitor = Visitor(app)
    visitor.sign_in(ada.email, PASSWORD)
    page = visitor.read("/admin/devices")
    assert [name.words for name in page.all("bdi")] == ["Chrome on Android", "Firefox on Linux", "Opera on Mac"]
    form = {"csrf_token": page.fields["csrf_token"]}
    kept = {another.id, theirs.id}
    for target in (mine.id, theirs.id, gone.id, mine.id, 4711):
        answer = visitor.post(f"/admin/devices/{target}/remove", data=form)
        assert (answer.status_code, answer.location) == (303, "/admin/devices")
    assert device_ids() == kept


def test_a_device_is_removed_by_its_button_and_not_by_a_link(dashboard: Visitor, staff: User) -> None:
    mine = device(staff)
    [form] = [
        form for form in dashboard.read("/admin/devices").all("form") if "remove" in form.attributes.get("action", "")
    ]
    assert form.attributes["method"] == "post"
    address = form.attributes["action"]
    assert dashboard.get(address).status_code == 405
    assert dashboard.post(address).status_code == 400
    assert device_ids() == {mine.id}
    assert (
        dashboard.post(address, data={"csrf_token": dashboard.read("/admin/").fields["csrf_token"]}).status_code == 303
    )
    assert "No device yet" in dashboard.read("/admin/devices").one(id="empty").words


def test_after_a_rotation_the_devices_page_counts_the_moved_devices(dashboard: Visitor, staff: User) -> None:
    assert dashboard.read("/admin/devices").all(id="key-rotation") == []
    device(staff)
    new = keys.rotate()
    db.session.commit()
    device(staff, vapid_public_key=new)
    told = dashboard.read("/admin/devices").one(id="key-rotation").words
    assert told.startswith("1 of 2 devices moved to the new key.")
    assert "when their browser next opens the dashboard" in told
    db.session.query(Subscription).update({"vapid_public_key": new})
    db.session.commit()
    assert "vapid retire" in dashboard.read("/admin/devices").one(id="key-rotation").words


def test_a_devices_problem_is_shown(dashboard: Visitor, staff: User) -> None:
    device(staff, name="Fine", last_accepted_at=datetime(2026, 1, 31, 12, tzinfo=UTC))
    device(staff, name="Failing", failures=5)
    device(staff, name="Slow", failures=4)
    device(staff, name="Once", failures=1)
    device(staff, name="Stale", state=DeviceState.STALE)
    page = dashboard.read("/admin/devices")
    words = page.one(id="devices").words
    assert "Last sent Jan 31, 2026, 12:00:00 PM" in words
    assert "5 tries in a row failed." in words
    assert "1 try failed." in words
    assert [pill.words for pill in page.all("span", class_="pill stale")] == ["Needs reconnecting"]
    assert [pill.words for pill in page.all("span", class_="pill failed")] == ["Not reached"]
    assert [pill.words for pill in page.all("span", class_="pill live")] == ["On", "On", "On"]
    assert "This device uses an old VAPID key." in words


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize("admin_url", ["/admin/", "/some/where/"])
def test_the_scripts_are_under_the_dashboards_path_for_everybody_and_always_fresh(
    visit: Visit, admin_url: str, script: str
) -> None:
    visitor = visit(admin_url=admin_url)
    answer = visitor.get(admin_url + script)
    assert answer.status_code == 200
    assert answer.content_type == "text/javascript; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "addEventListener" in answer.text
    again = visitor.get(admin_url + script, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


@pytest.mark.parametrize("admin_url", ["/admin/", "/some/where/"])
def test_the_dashboard_tells_its_script_where_everything_is(visit: Visit, staff: User, admin_url: str) -> None:
    visitor = visit(admin_url=admin_url)
    assert visitor.sign_in(staff.email, PASSWORD).location == admin_url
    for page in (visitor.read(admin_url), visitor.read(f"{admin_url}devices")):
        script = page.one(id="push-script").attributes
        assert script["src"].startswith(f"{admin_url}push-subscribe.js?v=")
        assert (script["data-worker"], script["data-scope"]) == (f"{admin_url}sw.js", admin_url)
        for address in (script["src"], script["data-worker"], script["data-key"]):
            assert visitor.get(address).status_code == 200
        token = page.one("meta", name="csrf-token").attributes["content"]
        for address in (script["data-subscribe"], script["data-unsubscribe"]):
            assert visitor.post(address, json={}, headers={"X-CSRFToken": token}).status_code == 422
            assert visitor.post(address, json={}).status_code == 400
        assert page.one("section", id="push")
        assert page.all(id="push-off") == []


def test_the_dashboard_can_be_elsewhere(visit: Visit, staff: User) -> None:
    visitor = visit(admin_url="/some/where/")
    visitor.sign_in(staff.email, PASSWORD)
    receive()
    assert visitor.get("/admin/").status_code == 404
    assert visitor.get("/some/where").status_code == 308
    page = visitor.read("/some/where/")
    assert page.one("a", class_="row-link").attributes["href"] == "/some/where/messages/1"
    assert visitor.get("/some/where/messages/1").status_code == 200
    assert visitor.send("/feedback/", content="Hello", submitter_name="Ada").status_code == 303
    assert db.session.get_one(Message, 2).outbox_entry
    payload = db.session.get_one(Message, 2).outbox_entry.payload  # type: ignore[union-attr]
    assert "http://127.0.0.1:8000/some/where/messages/2" in payload
    assert visitor.sign_out().status_code == 303
    answer = visitor.get("/some/where/messages/1")
    assert answer.location == "/login?next=/some/where/messages/1"


def test_without_keys_the_dashboard_says_that_push_is_off(visit: Visit, staff: User) -> None:
    visitor = visit(vapid_private_key="", vapid_public_key="", vapid_subject="")
    visitor.sign_in(staff.email, PASSWORD)
    for address in ("/admin/", "/admin/devices"):
        page = visitor.read(address)
        assert "Push notifications are off" in page.one(id="push-off").words
        assert page.all(id="push-script") + page.all(id="push") == []


def test_every_address_on_a_page_exists(dashboard: Visitor, app: Flask, staff: User) -> None:
    device(staff)
    message = receive(submitter_email="ada@example.org")
    pages = [Visitor(app).read(address) for address in ("/feedback/", "/feedback/complete/", "/login", "/nowhere")]
    pages += [dashboard.read(address) for address in ("/admin/", "/admin/devices", f"/admin/messages/{message.id}")]
    values = [
        element.attributes.get(name, "") for page in pages for element in page.elements for name in ("href", "src")
    ]
    addresses = {value for value in values if value.startswith("/")}
    assert len(addresses) > 10
    assert {
        address: dashboard.get(address, follow_redirects=True).status_code for address in addresses
    } == dict.fromkeys(addresses, 200)


def test_visitors_see_nothing_of_push(dashboard: Visitor, app: Flask) -> None:
    circuit_breaker.trip("https://web.push.apple.com", Misconfigured(status=403), utcnow())
    db.session.commit()
    for visitor, addresses in (
        (Visitor(app), ["/feedback/", "/feedback/complete/", "/login", "/nowhere", "/admin/nowhere"]),
        (dashboard, ["/feedback/", "/feedback/complete/", "/nowhere"]),
    ):
        for address in addresses:
            answer = visitor.get(address)
            assert "push-script" not in answer.text
            assert KEYS.public_key not in answer.text
            assert Page(answer).all(id="push-banner") + Page(answer).all("meta", name="csrf-token") == []


def test_an_alarm_is_on_every_page_of_the_dashboard(dashboard: Visitor) -> None:
    message = receive()
    addresses = ["/admin/", "/admin/devices", f"/admin/messages/{message.id}"]
    assert not [address for address in addresses if dashboard.read(address).all(id="push-banner")]
    circuit_breaker.trip("https://web.push.apple.com", Misconfigured(status=403, detail="BadJwtToken"), utcnow())
    db.session.commit()
    for address in addresses:
        assert "web.push.apple.com: 403 BadJwtToken" in dashboard.read(address).one(id="push-banner").words
