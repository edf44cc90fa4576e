"""Visitors in a real Firefox: they turn on notifications, and the alert of an answer leads to their private page."""

import pytest
from sqlalchemy import select

from feedback_push.auth import accounts
from feedback_push.database import db
from feedback_push.feedback import conversations
from feedback_push.feedback.models import Message
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, Subscription
from tests import servers
from tests.browser.dashboard import STAFF, Dashboard
from tests.browser.firefox import Firefox
from tests.doubles.push_device import Device
from tests.embed.host import host
from tests.feedback.messages import own_form

TITLE = "You have an answer"
WORKERS = """
const manager = Cc["@mozilla.org/serviceworkers/manager;1"].getService(Ci.nsIServiceWorkerManager);
const workers = manager.getAllRegistrations();
const scopes = [];
for (let i = 0; i < workers.length; i++) {
  scopes.push(workers.queryElementAt(i, Ci.nsIServiceWorkerRegistrationInfo).scope);
}
return scopes.sort();
"""
_EXPIRE = """
const {PushService} = ChromeUtils.importESModule("resource://gre/modules/PushService.sys.mjs");
const record = await PushService._db.getByIdentifiers({scope: arguments[0], originAttributes: ""});
await PushService.dropRegistrationAndNotifyApp(record.keyID);
"""


@pytest.fixture
def visitor(dashboard: Dashboard) -> Firefox:
    """A browser on the thank-you page, right after it has sent a message."""
    browser = dashboard.browser
    browser.open(f"{dashboard.site.url}/feedback/")
    browser.find("#content").type("The export is broken.")
    browser.find("#submitter_name").type("Ada")
    browser.find("main form button[type=submit]").click()
    browser.wait_for("#private-link")
    return browser


def turn_on(dashboard: Dashboard) -> Device:
    """Click the card's button, allow notifications, and wait until the card says so."""
    browser = dashboard.browser
    assert not dashboard.asks_for_permission
    browser.find("#notify-me").click()
    browser.accept_permission_prompt()
    browser.wait_for("#notifications[data-state=on]")
    return dashboard.service.devices[-1]


def answer(dashboard: Dashboard, content: str) -> None:
    """Answer the only message as an administrator."""
    with dashboard.site.database():
        staff = accounts.find(STAFF)
        assert staff
        entry_id = conversations.answer(db.session.scalars(select(Message)).one(), staff, content)
        db.session.commit()
        assert entry_id
        outbox.wake(entry_id)


def stored_devices(dashboard: Dashboard) -> list[tuple[str, bool]]:
    """Return the endpoints of all devices, and whether each is an administrator's."""
    with dashboard.site.database():
        rows = db.session.query(Subscription).order_by(Subscription.id).all()
        return [(row.endpoint, row.user_id is not None) for row in rows]


def test_a_visitor_is_told_of_the_answer_and_the_private_page_shows_it_unless_something_is_typed(
    dashboard: Dashboard, visitor: Firefox
) -> None:
    private_page = visitor.find("#private-link").text
    device = turn_on(dashboard)
    assert stored_devices(dashboard) == [(device.endpoint, False)]
    visitor.open("about:blank")
    answer(dashboard, "It works again.")
    shown = visitor.alert(TITLE)
    assert "It works again" not in shown.body  # neither the operator nor the visitor has asked for it
    dashboard.wait_for_receipt(lambda told: told.shown_at is not None)
    visitor.click_alert(TITLE)
    visitor.switch_to_newest_tab()
    assert "It works again." in visitor.wait_for(".answered").text
    assert visitor.url == private_page
    dashboard.wait_for_receipt(lambda told: told.clicked_at is not None)
    assert visitor.wait_for("#notifications[data-state=on]")
    answer(dashboard, "And faster than before.")
    visitor.wait_for(lambda: "And faster than before." in visitor.text)  # by itself
    visitor.close_alert(TITLE)
    visitor.find("#content").type("Thank y")
    answer(dashboard, "And better.")
    visitor.alert(TITLE)
    assert visitor.script("return document.getElementById('content').value") == "Thank y"


def test_turned_off_or_with_the_link_ended_nothing_more_is_sent(dashboard: Dashboard, visitor: Firefox) -> None:
    turn_on(dashboard)
    visitor.find("#notify-no-more").click()
    visitor.wait_for("#notifications[data-state=default]")
    assert stored_devices(dashboard) == []
    visitor.find("#notify-me").click()
    visitor.wait_for("#notifications[data-state=on]")
    assert len(stored_devices(dashboard)) == 1
    with dashboard.site.database():
        found = conversations.find(link(visitor).rpartition("/")[2])
        assert found
        conversations.end_link(found)
        db.session.commit()
    visitor.find("#notify-no-more").click()  # the server no longer knows the link, and the card has nothing to undo
    visitor.wait_for("#notifications[data-state=default]")
    visitor.find("#notify-me").click()
    assert "unknown or has ended" in visitor.wait_for(lambda: visitor.find("[data-trouble=refused]:not([hidden])").text)


def link(browser: Firefox) -> str:
    return browser.find("#private-link").text


def test_who_denies_is_told_what_to_do_and_that_the_link_is_enough(dashboard: Dashboard, visitor: Firefox) -> None:
    visitor.find("#notify-me").click()
    visitor.block_permission_prompt()
    assert "The link alone is enough" in visitor.wait_for("#notifications[data-state=denied]").text
    assert not visitor.find("#notify-me").is_displayed
    assert stored_devices(dashboard) == []


def test_an_expired_subscription_is_renewed_without_a_page_and_keeps_its_conversation(
    dashboard: Dashboard, visitor: Firefox
) -> None:
    old = turn_on(dashboard)
    visitor.open("about:blank")
    dashboard.lose_cookies()
    visitor.chrome(_EXPIRE, f"{dashboard.site.url}/visitor/")
    servers.wait_until(
        lambda: any(each != (old.endpoint, False) for each in stored_devices(dashboard)), 60, "a new device"
    )
    [(endpoint, _)] = stored_devices(dashboard)
    assert endpoint == dashboard.service.devices[-1].endpoint
    answer(dashboard, "It works again.")
    visitor.alert(TITLE)


def test_an_administrator_and_a_visitor_in_one_browser_keep_their_workers_apart(
    dashboard: Dashboard, visitor: Firefox
) -> None:
    private_page = link(visitor)
    theirs = turn_on(dashboard)
    dashboard.sign_in()
    visitor.find("#push-enable").click()  # the permission is the origin's, so nobody is asked again
    dashboard.wait_for_card("on")
    ours = dashboard.service.devices[-1]
    assert stored_devices(dashboard) == [(theirs.endpoint, False), (ours.endpoint, True)]
    scopes = [scope for scope in visitor.chrome(WORKERS) if scope.startswith(dashboard.site.url)]
    assert scopes == [dashboard.site.dashboard, f"{dashboard.site.url}/visitor/"]
    visitor.open("about:blank")
    answer(dashboard, "It works again.")
    visitor.alert(TITLE)
    dashboard.site.visitor().write("Hello", name="Ben")
    visitor.alert("Ben:")
    for each in (theirs, ours):
        dashboard.service.wait_ack(each)
    assert [len(theirs.acks), len(ours.acks)] == [1, 1]
    visitor.click_alert(TITLE)
    visitor.switch_to_newest_tab()
    visitor.wait_for(lambda: visitor.url == private_page)
    with dashboard.site.database():
        assert db.session.query(Delivery).filter(Delivery.shown_at.is_not(None)).count() >= 1


def test_from_a_button_on_another_site_to_the_administrators_alert_and_the_answer_back(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    dashboard.sign_in()
    dashboard.turn_on()
    with host() as shop:
        with site.database():
            own_form(origins=[shop.url], name_field="optional")
        policy = f"default-src 'none'; script-src {site.url}; connect-src {site.url}"
        tag = f'<script type="module" src="{site.url}/embed/feedback.js" data-form="shop"></script>'
        browser.open(shop.add("/", f"<main><h1>Shop</h1>{tag}</main>", policy=policy))
        assert browser.wait_for(lambda: browser.script("return document.querySelector('feedback-form')?.open()"))
        browser.script(_WRITE)
        browser.wait_for(lambda: browser.script(f"return {_WIDGET}.querySelector('a.private')?.href"))
        private_page = browser.script(f"return {_WIDGET}.querySelector('a.private').href")
        assert browser.alert("Ada:").body == "The export is broken."
        browser.close_alert("Ada:")
    browser.open(private_page)
    browser.wait_for("#notify-me").click()  # the origin has the permission already
    browser.wait_for("#notifications[data-state=on]")
    browser.open("about:blank")
    answer(dashboard, "It works again.")
    browser.alert(TITLE)
    browser.click_alert(TITLE)
    browser.switch_to_newest_tab()
    assert "It works again." in browser.wait_for(".answered").text
    assert browser.url == private_page


_WIDGET = "document.querySelector('feedback-form').shadowRoot"
_WRITE = f"""
const form = {_WIDGET}.querySelector("dialog[open] form");
form.elements.content.value = "The export is broken.";
form.elements.name.value = "Ada";
form.requestSubmit();
"""
