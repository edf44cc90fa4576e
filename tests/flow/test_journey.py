"""A message goes from the form to every administrator's devices and to the dashboard."""

from collections.abc import Iterator

import pytest

from feedback_push.webpush import vapid
from tests.conftest import KEYS, PASSWORD
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.flow.deliveries import wait_until_final
from tests.program import Program
from tests.servers import wait_until
from tests.site import Site

DAY = 86400
# The database of sites with several machines; test_make_run.py makes such a journey on SQLite.
pytestmark = pytest.mark.parametrize("serving_site", ["postgresql"], indirect=True)


@pytest.fixture(scope="module", autouse=True)
def worker(serving_site: Site) -> Iterator[Program]:
    """One worker for all tests of this module."""
    with serving_site.work("--pool", "threads") as running:
        yield running


def test_a_message_reaches_every_device_of_every_administrator_exactly_once(site: Site, service: PushService) -> None:
    devices = [service.new_device(KEYS.public_key) for _ in range(4)]
    site.staff("ada@example.org").subscribe(*devices[:3])
    site.staff("bob@example.org").subscribe(devices[3])
    for number in (1, 2):  # a duplicate of the first would have arrived before the second
        site.visitor().write(f"Message {number}", name="Carol")
        wait_until_final(site)
    for device in devices:
        shown = [push.json()["notification"] for push in device.pushes]
        assert [(each["title"], each["body"]) for each in shown] == [("Carol:", "Message 1"), ("Carol:", "Message 2")]
    assert service.refusals == []


def test_the_push_says_what_to_show_where_to_go_and_how_long_it_matters(site: Site, service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    staff = site.staff()
    staff.subscribe(device)
    site.visitor().write("Größe: 12 €\n" + "x" * 200, name="Zoë")
    push = device.wait(1)[0]
    payload = push.json()
    shown = payload["notification"]
    assert payload["web_push"] == 8030
    assert shown["title"] == "Zoë:"
    assert shown["body"] == "Größe: 12 €\n" + "x" * 108 + "..."
    assert shown["navigate"].startswith(f"{site.dashboard}messages/")
    assert staff.read(shown["navigate"]).one(id="content").raw == "Größe: 12 €\n" + "x" * 200
    assert DAY - 60 < push.ttl <= DAY
    assert push.urgency == "high"


def test_each_message_has_a_topic_and_a_tag_of_its_own(site: Site, service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    site.staff().subscribe(device)
    visitor = site.visitor()
    visitor.write("One")
    visitor.write("Two")
    one, two = device.wait(2)
    assert one.topic
    assert two.topic
    assert one.topic != two.topic
    assert one.json()["notification"]["tag"] != two.json()["notification"]["tag"]


def test_the_visitor_is_thanked(site: Site) -> None:
    thanks = site.visitor().write("Hello")
    assert [step.status_code for step in thanks.history] == [303]
    assert thanks.url == f"{site.url}/feedback/complete/"
    assert "Thank you" in thanks.text


def test_the_message_page_tells_what_became_of_each_notification(site: Site, service: PushService) -> None:
    taken, gone, stale = (service.new_device(key) for key in (KEYS.public_key, KEYS.public_key, vapid.generate()[1]))
    staff = site.staff()
    staff.subscribe(taken, gone, stale)
    gone.unsubscribe()
    site.visitor().write("Hello")
    wait_until_final(site)
    page = staff.read(_message_address(taken))
    assert "Accepted by the push service" in page.one("li", data_stage="accepted").words
    reasons = [row.words for row in page.all("li", data_stage="failed")]
    assert len(reasons) == 2
    assert "The browser has unsubscribed." in reasons[0]
    assert "The browser has subscribed with another key" in reasons[1]


def test_a_device_that_is_gone_is_off_the_list_and_gets_nothing_more(site: Site, service: PushService) -> None:
    gone, other = service.new_device(KEYS.public_key), service.new_device(KEYS.public_key)
    staff = site.staff()
    staff.subscribe(gone, other)
    gone.unsubscribe()
    site.visitor().write("One")
    wait_until_final(site)
    rows = staff.dashboard("devices").all("li", data_state="live")
    assert [row.attributes["data-endpoint"] for row in rows] == [other.endpoint]
    asked = len(service.requests)
    site.visitor().write("Two")
    other.wait(2)
    wait_until_final(site)
    assert len(service.requests) == asked + 1


def test_a_device_of_an_earlier_key_says_what_to_do(site: Site, service: PushService) -> None:
    device = service.new_device(vapid.generate().public_key)
    staff = site.staff()
    staff.subscribe(device)
    site.visitor().write("Hello")
    wait_until_final(site)
    row = staff.dashboard("devices").one("li", data_endpoint=device.endpoint)
    assert row.attributes["data-state"] == "stale"
    assert "open the dashboard once on that device." in row.words


def test_the_address_in_a_notification_opens_after_signing_in(site: Site, service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    staff = site.staff("ada@example.org")
    staff.subscribe(device)
    site.visitor().write("Read me")
    address = _message_address(device)
    staff.forget_cookies()
    assert "/login?next=" in staff.get(address).url
    opened = staff.sign_in("ada@example.org", PASSWORD, address)
    assert opened.url == address
    assert "Read me" in opened.text


def _message_address(device: Device) -> str:
    return str(device.wait(1)[0].json()["notification"]["navigate"])


def test_one_id_leads_from_the_request_over_the_task_to_the_push(
    site: Site, service: PushService, worker: Program
) -> None:
    device = service.new_device(KEYS.public_key)
    site.staff().subscribe(device)
    sent = site.visitor().write("Hello").history[0].headers["X-Request-ID"]
    device.wait(1)
    wait_until_final(site)

    def told(program: Program) -> list[str]:
        return [event["logger"].rpartition(".")[2] for event in program.events if event.get("request_id") == sent]

    wait_until(lambda: "answers" in told(worker))
    assert (told(site.web), told(worker)) == (["outbox"], ["tasks", "answers"])
    [task] = [event for event in worker.events if event.get("request_id") == sent and event.get("task")][:1]
    assert task["task"] == "push.fan_out"
    assert "celery.app.trace" in {event["logger"] for event in worker.events}
