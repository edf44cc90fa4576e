"""admin/saved_searches.py: an administrator's own named searches, shown in the inbox."""

import pytest
from flask import Flask

from feedback_push.auth import accounts
from feedback_push.database import db
from feedback_push.feedback import personal_data, saved_searches
from tests.admin.test_tags import send
from tests.conftest import PASSWORD, make_user
from tests.feedback.messages import receive
from tests.visits import Page, Visitor

SEARCH = "list=archived&q=gr%C3%BC%C3%9Fe&from=2026-03-02&tag=bug&person=a@b.org&assigned=me"


@pytest.fixture
def visitor(app: Flask) -> Visitor:
    visitor = Visitor(app)
    visitor.sign_in(make_user("staff@example.org").email, PASSWORD)
    return visitor


def saved(page: Page) -> dict[str, str]:
    links = page.all("nav", class_="searches")[0].words
    return {a.words: a.attributes["href"] for a in page.all("a") if a.words in links and a.words.startswith("My ")}


@pytest.mark.usefixtures("any_app")
def test_a_search_is_saved_with_all_its_filters_shown_in_the_inbox_and_removed(visitor: Visitor) -> None:
    receive()
    page = send(visitor, f"/admin/searches?{SEARCH}&before=7&unknown=1", name=" My \n bugs ")
    assert page.one("input", name="q").attributes["value"] == "grüße"
    assert page.one("p", class_="done", role="status").words == "The search “My bugs” is saved."
    pills = [pill.words for pill in page.all("span", class_="pill")]
    assert "From Mar 2, 2026" in pills
    address = saved(visitor.read("/admin/"))["My bugs"]
    for part in ("list=archived", "q=gr", "from=2026-03-02", "tag=bug", "person=a@b.org", "assigned=me"):
        assert part in address.replace("%40", "@")
    assert "before" not in address
    send(visitor, "/admin/searches?q=other", name="My bugs")
    assert saved(visitor.read("/admin/")) == {"My bugs": "/admin/?q=other"}
    account = personal_data.account("staff@example.org")
    assert account
    assert [(each["name"], each["query"]) for each in account["saved_searches"]] == [("My bugs", {"q": "other"})]
    [search] = saved_searches.of(accounts.find("staff@example.org"))  # type: ignore[arg-type]
    page = visitor.read("/admin/?q=other")
    assert "Remove the saved search “My bugs”" in [button.words for button in page.all("button")]
    send(visitor, f"/admin/searches/{search.id}/remove")
    assert saved(visitor.read("/admin/")) == {}


def test_searches_are_ones_own_limited_and_end_with_the_account(
    visitor: Visitor, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_searches, "MOST", 2)
    for number in range(2):
        send(visitor, f"/admin/searches?q={number}", name=f"My {number}")
    page = send(visitor, "/admin/searches?q=2", name="My 2")
    assert page.alert.endswith("You have 2 saved searches. Remove one first.")
    assert list(saved(page)) == ["My 0", "My 1"]
    colleague = Visitor(app)
    colleague.sign_in(make_user("colleague@example.org").email, PASSWORD)
    send(colleague, "/admin/searches?q=x", name="My 0")
    assert list(saved(colleague.read("/admin/"))) == ["My 0"]
    user = accounts.find("colleague@example.org")
    assert user
    accounts.delete(user)
    db.session.commit()
    assert list(saved(visitor.read("/admin/"))) == ["My 0", "My 1"]


def test_a_search_without_a_name_or_a_filter_is_refused(visitor: Visitor) -> None:
    token = visitor.read("/admin/tags").fields["csrf_token"]
    page = send(visitor, "/admin/searches?q=x", name=" \u200b")
    assert page.alert == "Please enter a name."
    assert "autofocus" in page.one(id="search-name").attributes
    for query, name in (("", "All"), ("?list=x", "x")):
        data = {"csrf_token": token, "name": name}
        answer = visitor.post(f"/admin/searches{query}", data=data, headers={"Referer": visitor.site})
        assert answer.status_code == 400
