"""csrf.py: a request's origin decides, then its token; each cause of a refusal has its words and a way on."""

from typing import Any

from sqlalchemy import func, select

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.push.models import Subscription
from tests.conftest import PASSWORD
from tests.push.malformed import GOOD
from tests.visits import Page, Visit, Visitor

TYPED = {"content": "  <b>Hello</b>\n", "submitter_name": "Ada", "submitter_email": "ada@example.org"}
HTTPS = "https://feedback.example.org"
OURS: tuple[dict[str, str], ...] = ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {})
# The headers that privacy tools, old browsers and in-app browsers omit or change.
HIDDEN = (
    {"Origin": "null"},
    {"Referer": "https://other.example/"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
)
FOREIGN = (
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "made up"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "null"},
    {"Origin": "https://other.example"},
    {"Origin": f"{HTTPS}.other.example"},
    {"Origin": "https://other.example", "Referer": f"{HTTPS}/feedback/"},
    {"Origin": "x" * 8_000},
)
SENTENCES = {
    "other site": "came from a page of another site",
    "no cookie": "did not send the cookie",
    "no token": "The form was sent without a part",
    "other session": "in another tab",
    "new key": "has changed its key",
}


def post(visitor: Visitor, address: str, headers: dict[str, str], **more: Any) -> int:
    return visitor.post(address, headers=headers, **more).status_code


def test_with_its_token_a_form_of_this_site_is_taken_whatever_the_browser_hides(visit: Visit) -> None:
    cases: list[tuple[dict[str, Any], dict[str, str], list[str]]] = [
        ({"site_url": HTTPS}, {}, [HTTPS]),
        ({"site_url": f"{HTTPS}:443"}, {}, [HTTPS]),
        # A proxy that is trusted, one that is not, and one that takes the port from the Host header.
        ({"site_url": HTTPS, "trusted_proxies": 1}, {"X-Forwarded-Proto": "https"}, [HTTPS]),
        ({"site_url": f"{HTTPS}:8443"}, {"Host": "feedback.example.org"}, [f"{HTTPS}:8443", HTTPS]),
        (
            {"site_url": "https://xn--bcher-kva.example"},
            {"Host": "xn--bcher-kva.example"},
            ["https://xn--bcher-kva.example"],
        ),
        ({"site_url": "http://127.0.0.1:8000"}, {}, ["http://127.0.0.1:8000"]),
        ({"site_url": "http://127.0.0.1:8000"}, {"Host": "localhost:9000"}, ["http://localhost:9000"]),
        ({"site_url": "http://[::1]:8000"}, {}, ["http://[::1]:8000"]),
    ]
    for settings, sent, origins in cases:
        visitor = visit(**settings)
        plain = {"base_url": "http://feedback.example.org"} if settings.get("trusted_proxies") else {}
        form = {**Page(visitor.get("/feedback/", headers=sent, **plain)).fields, **TYPED}
        for headers in (*OURS, *HIDDEN, *({"Origin": origin} for origin in origins)):
            assert post(visitor, "/feedback/", {**sent, **headers}, data=form, **plain) == 303, (settings, headers)


def test_with_its_token_a_request_from_another_origin_is_refused_all_the_same(
    visit: Visit, client: Visitor, staff: User
) -> None:
    visitor = visit(site_url=HTTPS)
    form = {**visitor.read("/feedback/").fields, **TYPED}
    others = ({"Origin": HTTPS.replace("https", "http")}, {"Origin": f"{HTTPS}:8443"}, {"Origin": f"{HTTPS}/"})
    for headers in (*FOREIGN, *others):
        assert post(visitor, "/feedback/", headers, data=form) == 400, headers
        assert post(visitor, "/login", headers, data={**form, "email": "x", "password": "x"}) == 400, headers
    client.sign_in(staff.email, PASSWORD)
    token = client.read("/admin/").fields["csrf_token"]
    for headers in FOREIGN:
        assert post(client, "/push/subscribe", {**headers, "X-CSRFToken": token}, json=GOOD) == 400, headers
        assert post(client, "/logout", headers, data={"csrf_token": token}) == 400, headers
    assert client.signed_in()
    assert [db.session.scalar(select(func.count()).select_from(table)) for table in (Message, Subscription)] == [0, 0]
    assert post(client, "/push/subscribe", {"X-CSRFToken": token}, json=GOOD) == 200


def refusals(visit: Visit, staff: User, address: str, form: dict[str, str]) -> list[tuple[str, Visitor, Any]]:
    """Return the refused visitor and the response for each cause."""

    def fresh() -> tuple[Visitor, dict[str, str]]:
        visitor = visit()
        return visitor, {**visitor.read("/feedback/").fields, **form}

    refused = []
    visitor, sent = fresh()
    refused.append(("other site", visitor, visitor.post(address, data=sent, headers=FOREIGN[0])))
    visitor, sent = fresh()
    visitor.delete_cookie("session", domain="127.0.0.1")
    refused.append(("no cookie", visitor, visitor.post(address, data=sent)))
    visitor, sent = fresh()
    refused.append(("no token", visitor, visitor.post(address, data=form)))
    visitor, sent = fresh()
    visitor.sign_in(staff.email, PASSWORD)
    visitor.sign_out()
    visitor.get("/login")
    refused.append(("other session", visitor, visitor.post(address, data=sent)))
    visitor, sent = fresh()
    cookie = visitor.get_cookie("session", domain="127.0.0.1")
    assert cookie
    anew = visit(secret_key="another secret for tests only")
    anew.set_cookie("session", cookie.value, domain="127.0.0.1")
    refused.append(("new key", anew, anew.post(address, data=sent)))
    assert [cause for cause, _, _ in refused] == list(SENTENCES)
    return refused


def test_the_form_says_why_it_was_refused_keeps_what_was_typed_and_is_taken_the_next_time(
    visit: Visit, staff: User
) -> None:
    for cause, visitor, refused in refusals(visit, staff, "/feedback/", TYPED):
        page = Page(refused)
        assert page.status == 400
        assert SENTENCES[cause] in page.alert, cause
        assert "Nothing is lost" in page.alert
        assert {name: page.fields[name] for name in TYPED} == TYPED
        answer = visitor.post("/feedback/", data=page.fields)
        again = visitor.post("/feedback/", data=Page(answer).fields) if cause == "other site" else answer
        assert again.status_code == 303, cause


def test_the_sign_in_form_says_why_it_was_refused_and_keeps_the_address_only(visit: Visit, staff: User) -> None:
    form = {"email": staff.email, "password": PASSWORD}
    for cause, visitor, refused in refusals(visit, staff, "/login?next=/admin/devices", form):
        page = Page(refused)
        assert page.status == 400
        assert SENTENCES[cause] in page.alert, cause
        assert page.fields["email"] == staff.email
        assert PASSWORD not in refused.text
        answer = visitor.post("/login?next=/admin/devices", data={**page.fields, "password": PASSWORD})
        if cause == "other site":  # its page must not contain a token
            fields = {**Page(answer).fields, "password": PASSWORD}
            answer = visitor.post("/login?next=/admin/devices", data=fields)
        assert (answer.status_code, answer.location) == (303, "/admin/devices"), cause


def test_a_dashboard_page_and_a_script_get_the_reason_for_a_refusal(visit: Visit, client: Visitor, staff: User) -> None:
    for cause, _, answer in refusals(visit, staff, "/admin/messages/move", {"move": "archive"}):
        assert answer.status_code == 400
        assert SENTENCES[cause] in Page(answer).one("main").words, cause
        assert "Open the page again" in answer.text
    client.sign_in(staff.email, PASSWORD)
    client.read("/admin/")
    told = client.post("/push/subscribe", json=GOOD, headers={"X-CSRFToken": "made up"}).get_json()
    assert SENTENCES["new key"] in told["error"]


def test_another_sites_request_replaces_no_cookie(client: Visitor) -> None:
    # A browser sends no cookie with it (SameSite=Lax), but would take one from the answer.
    for address in ("/feedback/", "/feedback/confirm/", "/login", "/logout", "/admin/messages/move"):
        answer = client.post(address, data=TYPED, headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.headers.getlist("Set-Cookie") == [], address


def test_a_refused_form_shows_no_more_than_would_be_taken(client: Visitor) -> None:
    typed = {"content": "x" * 210_000, "submitter_name": "y" * 300, "submitter_email": "z" * 400}
    page = Page(client.post("/feedback/", data=typed))
    assert {name: len(page.fields[name]) for name in typed} == dict(zip(typed, (200_000, 200, 320), strict=True))
    page = Page(client.post("/login", data={"email": "x" * 1000}))
    assert len(page.fields["email"]) == 320


def test_a_page_from_before_another_sign_in_is_refused_with_that_reason(client: Visitor, staff: User) -> None:
    form = {**client.read("/feedback/").fields, **TYPED}
    client.sign_in(staff.email, PASSWORD)
    page = Page(client.post("/feedback/", data=form))
    assert SENTENCES["other session"] in page.alert
    assert client.post("/feedback/", data=page.fields).status_code == 303


def test_the_step_to_confirm_says_why_it_was_refused(visit: Visit, staff: User) -> None:
    for cause, visitor, refused in refusals(visit, staff, "/feedback/confirm/", {}):
        if cause == "other site":
            assert (refused.status_code, refused.location) == (303, "/feedback/confirm/")
            continue
        page = Page(refused)
        assert page.status == 400
        assert SENTENCES[cause] in page.alert, cause
        assert visitor.post("/feedback/confirm/", data=page.fields).status_code == 303
