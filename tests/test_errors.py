"""errors.py: a page for people, JSON for scripts, and nothing of the inside in either."""

import pytest
from flask import Flask, abort
from sqlalchemy import delete, text

from feedback_push import private_links
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push.models import Subscription
from tests import servers
from tests.admin.rows import device
from tests.conftest import PASSWORD, make_user
from tests.visits import Page, Visit, Visitor

INSIDE = "the colour of the vault"


@pytest.fixture
def broken(app: Flask) -> Visitor:
    """A visitor of a site that has some broken pages."""

    def raising() -> str:
        raise RuntimeError(INSIDE)

    def refusing(code: int) -> str:
        abort(code, INSIDE if code >= 500 else None)

    for prefix in ("", "/push", "/admin"):
        app.add_url_rule(f"{prefix}/raising", f"raising{prefix}", raising, methods=["GET", "POST"])
        app.add_url_rule(f"{prefix}/refusing/<int:code>", f"refusing{prefix}", refusing)
    return Visitor(app)


@pytest.fixture
def without_database(visit: Visit) -> Visitor:
    """A visitor of a site without its database."""
    return visit(database_url=f"postgresql+psycopg://nobody@127.0.0.1:{servers.free_port()}/none")


@pytest.mark.parametrize(
    ("code", "title"),
    [(400, "That did not work"), (403, "Not allowed"), (404, "Nothing here"), (413, "Too long"),
     (418, "That did not work"), (429, "A moment, please"), (500, "Something went wrong"),
     (502, "Something went wrong"), (503, "Back in a moment")],
)  # fmt: skip
def test_people_get_a_page_that_says_what_to_do(broken: Visitor, code: int, title: str) -> None:
    page = broken.read(f"/refusing/{code}")
    assert page.status == code
    assert page.one("h1").words == title
    assert page.one("title").words == f"{title} · Feedback Push"
    assert [link for link in page.all("a") if link.attributes["href"] == "/feedback/"]
    assert INSIDE not in page.one("main").words


def test_an_error_of_the_dashboard_leads_back_to_the_inbox_or_to_the_sign_in_page(broken: Visitor, staff: User) -> None:
    codes = (400, 403, 404, 413, 422, 429, 500, 503)
    addresses = [*(f"/admin/refusing/{code}" for code in codes), "/admin/raising", "/admin/nothing-here", "/logout"]
    for address in addresses:
        page = broken.read(address)
        assert (page.all("header", class_="bar"), page.all("a", href="/feedback/")) == ([], []), address
        assert page.one("a", href="/login").words == "Sign in to the inbox"
    staff.language = "de"
    db.session.commit()
    broken.sign_in(staff.email, PASSWORD)
    for address in addresses:
        page = broken.read(address)
        assert page.one("header", class_="bar")
        assert [link for link in page.all("a", href="/admin/") if link.attributes.get("class") != "brand"], address
        assert page.all("a", href="/feedback/") + page.all("script") == []
        assert page.one("html").attributes["lang"] == "de"
    large = broken.post("/admin/settings", data={"language": "x" * 70_000})
    assert Page(large).one("header", class_="bar")
    forged = broken.post("/admin/settings", headers={"Sec-Fetch-Site": "cross-site"})
    assert (forged.status_code, Page(forged).one("header", class_="bar").tag) == (400, "header")


@pytest.mark.parametrize("code", [400, 403, 404, 413, 429, 500, 502, 503])
def test_scripts_get_json(broken: Visitor, code: int) -> None:
    answer = broken.get(f"/push/refusing/{code}")
    assert answer.status_code == code
    assert isinstance(answer.json, dict)
    assert list(answer.json) == ["error"]
    assert INSIDE not in answer.text


def test_a_json_request_gets_a_json_error(client: Visitor) -> None:
    assert client.post("/nowhere", json={}).json == {"error": client.post("/push/nowhere").get_json()["error"]}


def test_an_exception_is_logged_and_not_shown(broken: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    for address in ("/raising", "/push/raising"):
        answer = broken.get(address)
        assert answer.status_code == 500
        assert "The fault is ours" in answer.text
        assert INSIDE not in answer.text
    assert caplog.text.count(f"RuntimeError: {INSIDE}") == 2


def test_the_log_names_the_rule_of_a_failed_request_and_no_secret_in_its_address(
    app: Flask, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = private_links.token(1, 1)
    monkeypatch.setitem(app.view_functions, "conversations.show", _fail)
    assert app.test_client().get(f"/conversations/{token}").status_code == 500
    assert "exception on /conversations/<token> [GET]" in caplog.text
    assert token not in caplog.text


def _fail(token: str) -> str:
    raise RuntimeError(f"{len(token)} characters")


def test_a_wrong_method_is_answered_with_the_allowed_ones(client: Visitor) -> None:
    answer = client.get("/logout")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]


def test_without_the_database_people_are_asked_to_come_back(without_database: Visitor) -> None:
    answer = without_database.send("/login", email="staff@example.org", password=PASSWORD)
    assert answer.status_code == 503
    assert "cannot reach its database" in answer.text
    assert "127.0.0.1" not in answer.text


def test_without_the_database_whoever_is_signed_in_is_asked_to_come_back(
    without_database: Visitor, client: Visitor, staff: User
) -> None:
    client.sign_in(staff.email, PASSWORD)
    cookie = client.get_cookie("session", domain="127.0.0.1")
    assert cookie
    without_database.set_cookie("session", cookie.value, domain="127.0.0.1")
    page = without_database.read("/admin/")
    assert page.status == 503
    assert page.one("a", href="/admin/").words == "Back to the inbox"
    answer = without_database.get("/push/key")
    assert answer.status_code == 503
    assert "database" in answer.get_json()["error"]


def test_a_fault_of_ours_in_the_database_is_no_outage(any_app: Flask) -> None:
    any_app.add_url_rule("/twice", view_func=_twice)
    answer = Visitor(any_app).get("/twice")
    assert answer.status_code == 500
    assert "push_held_origin" not in answer.text


def _twice() -> str:
    for _ in range(2):
        db.session.execute(text("INSERT INTO push_held_origin VALUES ('https://a.example', '2026-01-31', 401, '')"))
    return "done"


def test_a_row_that_somebody_else_has_just_removed_is_missing(any_app: Flask) -> None:
    user = make_user("staff@example.org")
    phone = device(user)
    phone_id = phone.id

    def change() -> str:
        mine = db.session.get_one(Subscription, phone_id)
        db.session.execute(delete(Subscription), execution_options={"synchronize_session": False})
        mine.name = "renamed"
        db.session.commit()
        return "done"

    def show() -> str:
        mine = db.session.get_one(Subscription, phone_id)
        db.session.execute(delete(Subscription), execution_options={"synchronize_session": False})
        db.session.expire(mine)
        return mine.name

    for view in (change, show):
        any_app.add_url_rule(f"/{view.__name__}", view_func=view)
    for address in ("/change", "/show"):
        assert Visitor(any_app).read(address).one("h1").words == "Nothing here"
        db.session.rollback()
        assert phone.name != "renamed"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_after_the_database_was_away_the_next_request_is_served(any_app: Flask) -> None:
    visitor = Visitor(any_app)
    user = make_user("staff@example.org")
    visitor.sign_in(user.email, PASSWORD)
    db.session.execute(text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"))
    assert visitor.signed_in()
