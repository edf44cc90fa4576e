"""leaks.py: a secret that is logged fails the test, and nothing else does."""

import json
import logging
import sys
from pathlib import Path

import pytest

from feedback_push.push import receipts
from feedback_push.webpush import vapid
from tests import leaks
from tests.conftest import KEYS, PASSWORD, PRIVATE_KEY
from tests.doubles.push_service import PushService
from tests.program import Program

LOG = logging.getLogger("feedback_push.push")
SECRETS = {
    "the VAPID key of the tests": PRIVATE_KEY,
    "another VAPID key": "x5sXhTQmJ-9cXy3Wq0aZbR7tUvLkN2pEoGdIfHjKlM4",
    "the secret key": "a secret for tests only",
    "a password": PASSWORD,
    "a receipt": receipts.token(7, b"key"),
    "an endpoint": "https://updates.push.services.mozilla.com/wpush/v2/gAAAAABk",
    "an endpoint of Chrome": "https://fcm.googleapis.com/fcm/send/dQw4w9WgXcQ:APA91b",
    "a database": "postgresql+psycopg://ada:lovelace@db.example.org/feedback",
    "a broker": "redis://:analytical@redis.example.org/0",
}
HARMLESS = [
    "3 devices of updates.push.services.mozilla.com, the last at 2026-11-24 07:30:00.123",
    "Connected to redis://:**@127.0.0.1:6379/0",
    "postgresql://db.example.org/feedback at 127.0.0.1:5432",
    f"the public key {KEYS.public_key}",
    "Task feedback_push.push.tasks.deliver[0e9bb1b2-4f3a-4d1c-9a53-0d0a5d2f9c11] received",
]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_secret_fails_the_test_with_its_line(secret: str) -> None:
    LOG.info("sent %s", 3)
    with pytest.raises(AssertionError) as failed, leaks.guard():
        LOG.warning("could not send to %s", secret)
    assert "could not send to" in str(failed.value)
    assert "sent 3" not in str(failed.value)


def test_a_secret_in_a_field_or_in_json_is_one_too() -> None:
    with pytest.raises(AssertionError, match="secrets in the log"), leaks.guard():
        LOG.warning("odd", extra={"device": PRIVATE_KEY})
    assert leaks.lines(json.dumps({"event": f"a line\n{PRIVATE_KEY}"})) != []


def test_a_secret_in_a_traceback_is_one_too() -> None:
    with pytest.raises(AssertionError, match="ValueError: "), leaks.guard():
        LOG.error("odd", exc_info=ValueError(PRIVATE_KEY))


@pytest.mark.parametrize("line", HARMLESS)
def test_other_texts_may_be_logged(line: str) -> None:
    with leaks.guard():
        LOG.warning(line)


def test_every_key_that_is_made_looks_like_one() -> None:
    made = [vapid.generate().private_key for _ in range(50)]
    assert sum(len(leaks.lines(f"key={key}")) for key in made) >= 49  # one in two thousand has no digit


def test_what_a_device_keeps_to_itself_is_known(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    channel = device.endpoint.rpartition("/")[2]
    for secret in (channel, device.p256dh, device.auth):
        assert leaks.lines(f"a line\nkept ({secret})\nanother") == [f"kept ({secret})"]


@pytest.mark.server
def test_what_a_program_writes_is_looked_through_when_it_ends(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="correct horse"),
        Program([sys.executable, "-c", f"print({PASSWORD!r})"], tmp_path / "log", {}) as program,
    ):
        program.process.wait()


def test_every_test_is_guarded(request: pytest.FixtureRequest) -> None:
    assert "nothing_secret_in_logs" in request.fixturenames
