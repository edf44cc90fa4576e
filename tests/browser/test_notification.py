"""static/admin/sw.js in a real Firefox: the content of a notification, and the target of a click."""

import json
from contextlib import closing
from typing import Any

import pytest
from py_vapid import Vapid02

from feedback_push.database import db
from feedback_push.push import notification
from feedback_push.push.models import Delivery, Subscription
from tests.browser.conftest import LOGO
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Alert, Firefox
from tests.doubles.push_device import Device
from tests.doubles.senders import Sender, encrypted

GENERIC = "New feedback"
FAMILY = "👩‍👩‍👧‍👦"


@pytest.fixture
def device(dashboard: Dashboard) -> Device:
    """The browser as the push service knows it, with notifications turned on and the inbox open."""
    dashboard.sign_in()
    return dashboard.turn_on()


def test_a_message_appears_on_the_screen_and_a_click_or_an_action_opens_it(
    dashboard: Dashboard, device: Device
) -> None:
    browser, site = dashboard.browser, dashboard.site
    browser.open("about:blank")
    site.visitor().write("It is great.", name="Ada")
    assert browser.alert() == Alert("Ada:", "It is great.", f"via 127.0.0.1:{site.settings.port}")
    assert browser.alert_icon_colour("Ada:") == LOGO
    assert dashboard.service.wait_ack(device).code == 100
    browser.click_alert("Ada:")
    browser.switch_to_newest_tab()
    assert browser.wait_for("#content").text == "It is great."
    assert browser.url.startswith(f"{site.dashboard}messages/")
    browser.wait_for(lambda: browser.alerts == [])
    browser.open("about:blank")
    site.visitor().write("Hello", name="Ben", email="ben@example.org")
    browser.click_alert_action("answer", "Ben:")
    browser.switch_to_newest_tab()
    assert browser.wait_for("#content").text == "Hello"
    assert browser.url.startswith(f"{site.dashboard}messages/")
    assert browser.url.endswith("#answer")
    assert browser.find("#answer").is_displayed
    dashboard.wait_for_receipt(lambda told: told.clicked_at is not None)


def test_without_a_session_the_receipts_arrive_and_a_click_leads_through_signing_in(
    dashboard: Dashboard, device: Device
) -> None:
    browser = dashboard.browser
    dashboard.lose_cookies()
    browser.open("about:blank")
    dashboard.site.visitor().write("Hello", name="Ada")
    browser.alert("Ada:")
    dashboard.wait_for_receipt(lambda told: told.shown_at is not None)
    browser.click_alert("Ada:")
    dashboard.wait_for_receipt(lambda told: told.clicked_at is not None)
    with dashboard.site.database():
        told = db.session.query(Delivery).one()
        assert told.shown_at
        assert told.clicked_at
        assert told.shown_at < told.clicked_at
        assert told.subscription.last_shown_at == told.shown_at
    dashboard.service.wait_ack(device)
    assert [ack.code for ack in device.acks] == [100]
    browser.switch_to_newest_tab()
    dashboard.fill_in_sign_in_form()
    assert browser.wait_for("#content").text == "Hello"


def test_a_receipt_that_nobody_takes_changes_nothing_for_the_reader(dashboard: Dashboard, device: Device) -> None:
    browser, site = dashboard.browser, dashboard.site
    told = note(
        "Ada:", receipt="1.2", navigate=f"{site.dashboard}devices", icon="data:image/gif;base64,R0lGODlhAQABAAAAACw="
    )
    data = json.dumps(told).encode()
    with site.web.frozen():
        push(dashboard, device, data)
        browser.click_alert("Ada:", timeout=3)  # the worker gives up a receipt after 4 seconds
        browser.wait_for(lambda: browser.alerts == [], timeout=3)
    browser.wait_for(lambda: browser.url == f"{site.dashboard}devices")
    dashboard.service.wait_ack(device)
    assert [ack.code for ack in device.acks] == [100]


@pytest.mark.usefixtures("device")
def test_an_open_dashboard_is_told_of_a_push_and_taken_to_the_message_by_a_click(dashboard: Dashboard) -> None:
    browser = dashboard.browser
    browser.script("""
      window.told = [];
      navigator.serviceWorker.addEventListener("message", ({ data }) => window.told.push(data));
      navigator.serviceWorker.startMessages();
    """)
    dashboard.site.visitor().write("Hello", name="Ada")
    assert browser.wait_for(lambda: browser.script("return window.told")) == [{"type": "push"}]
    browser.click_alert("Ada:")
    assert browser.wait_for("#content").text == "Hello"
    assert len(browser.tabs) == 1


MESSAGES = [
    (f"Zoë {FAMILY}", "x" * 118 + FAMILY + " and more"),
    ("شيرين", "مرحبا، هذه رسالة طويلة من اليمين إلى اليسار."),
    ("<i>Eve</i>", "<script>alert('hello')</script> & <b>bold</b> &amp;"),
    ("Long", "Words upon words. " * 6000),
]


def test_every_kind_of_text_is_shown_as_it_was_written(dashboard: Dashboard, device: Device) -> None:
    browser, visitor = dashboard.browser, dashboard.site.visitor()
    for name, content in MESSAGES:
        visitor.write(content, name=name)
        assert browser.alert(f"{name}:").body == notification.excerpt(content)
        browser.click_alert(f"{name}:")
        assert text_of_message(browser, name) == content
    assert {ack.code for ack in device.acks} == {100}


def text_of_message(browser: Firefox, name: str) -> str:
    """Return the text of a message's page as soon as it is open."""
    browser.wait_for(lambda: browser.find("h1").text == name)
    return str(browser.script("return document.getElementById('content').textContent"))


def test_a_push_for_other_keys_shows_nothing_and_the_next_visit_mends_it(dashboard: Dashboard, device: Device) -> None:
    dashboard.browser.open(f"{dashboard.site.url}/healthz")  # so that no page sends the right keys to the server again
    with dashboard.site.database():
        db.session.query(Subscription).update({"p256dh": dashboard.service.new_device(None).p256dh})
        db.session.commit()
    dashboard.site.visitor().write("Nobody can read this", name="Ada")
    assert dashboard.service.wait_ack(device).code == 101
    assert dashboard.browser.alerts == []
    dashboard.visit()
    dashboard.site.visitor().write("Hello", name="Ben")
    assert dashboard.browser.alert().title == "Ben:"


MALFORMED = [
    b"no JSON",
    b"null",
    b"[1]",
    b'"text"',
    b'{"notification": null}',
    b'{"notification": 7}',
    b'{"notification": {"title": "Broken", "dir": "sideways"}}',
    b'{"notification": {"title": "Broken", "actions": 7}}',
    b'{"notification": {"title": "Broken", "actions": [null]}}',
    b"\xff\xfe",
]


def test_a_push_that_cannot_be_understood_still_says_that_there_is_something(
    dashboard: Dashboard, device: Device
) -> None:
    browser = dashboard.browser
    for number, data in enumerate(MALFORMED, 1):
        push(dashboard, device, data)
        assert dashboard.service.wait_ack(device, count=number).code == 100
        assert browser.alert().title == GENERIC, data
        browser.close_alert(GENERIC)
    browser.open(f"{dashboard.site.dashboard}devices")
    push(dashboard, device, MALFORMED[0])
    browser.click_alert(GENERIC)
    browser.wait_for(lambda: browser.url == dashboard.site.dashboard)


def test_a_click_never_leads_to_another_site(dashboard: Dashboard, device: Device) -> None:
    browser = dashboard.browser
    elsewhere = "https://elsewhere.example/"
    away = note("Eve:", navigate=elsewhere, actions=[{"action": "away", "title": "Away", "navigate": elsewhere}])
    for click in (browser.click_alert, lambda title: browser.click_alert_action("away", title)):
        push(dashboard, device, json.dumps(away).encode())
        browser.open("about:blank")
        click("Eve:")
        browser.switch_to_newest_tab()
        browser.wait_for(lambda: browser.url == dashboard.site.dashboard)


def note(title: str, *, receipt: str = "", navigate: str = "", **more: Any) -> dict[str, Any]:
    """Return a notification like the site's own."""
    shown = {"title": title, "body": "", "navigate": navigate, "data": {"receipt": receipt}, **more}
    return {"web_push": 8030, "notification": shown}


def push(dashboard: Dashboard, device: Device, data: bytes) -> None:
    """Send any payload to the browser, correctly encrypted and signed."""
    settings = dashboard.site.settings
    with closing(Sender()) as sender:
        sender.vapid = Vapid02.from_raw(settings.vapid_private_key.encode())
        sender.public_key = settings.vapid_public_key
        sender.post(device.endpoint, encrypted(dashboard.subscription, data)).raise_for_status()
