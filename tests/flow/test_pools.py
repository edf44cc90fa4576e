"""The ordinary Celery command, with each of the pools that an operator may choose."""

import pytest

from tests.conftest import KEYS
from tests.doubles.push_service import PushService
from tests.flow.deliveries import wait_until_final
from tests.site import Site


@pytest.mark.parametrize(
    ("serving_site", "pool"), [("sqlite", "threads"), ("postgresql", "prefork")], indirect=["serving_site"]
)
def test_a_message_that_was_written_while_no_worker_ran_is_delivered_when_one_starts(
    site: Site, service: PushService, pool: str
) -> None:
    device = service.new_device(KEYS.public_key)
    site.staff().subscribe(device)
    visitor = site.visitor()
    visitor.write("One")
    with site.work("--pool", pool, "--concurrency", "2"):
        device.wait(1, timeout=60)
        visitor.write("Two")
        device.wait(2, timeout=60)
        wait_until_final(site)
    assert [push.json()["notification"]["body"] for push in device.pushes] == ["One", "Two"]
