"""The push service's view of a subscription."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests import leaks
from tests.doubles import base64url
from tests.doubles.device_keys import DeviceKeys
from tests.doubles.push_answers import Answer, Script
from tests.doubles.push_records import Ack, Push
from tests.doubles.watch import Watch


class Device:
    """One subscription at a PushService, made by `service.new_device` or by a browser (then without keys).

    `registered` becomes False when the browser unsubscribes; from then on, the service answers 410.
    """

    def __init__(self, watch: Watch, endpoint: str, vapid_key: str | None, keys: DeviceKeys | None) -> None:
        self._watch = watch
        self._script = Script()
        self._pushes: list[Push] = []
        self._acks: list[Ack] = []
        self.endpoint = endpoint
        self.channel = endpoint.rpartition("/")[2]
        self.vapid_public_key = vapid_key
        self.keys = keys
        self.registered = True
        leaks.know(self.channel, *((self.p256dh, self.auth) if keys else ()))

    @property
    def p256dh(self) -> str:
        return base64url.encode(self._own_keys().point)

    @property
    def auth(self) -> str:
        return base64url.encode(self._own_keys().secret)

    def as_json(self) -> dict[str, Any]:
        """Return the same data as `subscription.toJSON()` in a browser."""
        keys = {"p256dh": self.p256dh, "auth": self.auth}
        return {"endpoint": self.endpoint, "expirationTime": None, "keys": keys}

    @property
    def pushes(self) -> list[Push]:
        """All pushes accepted for this device so far."""
        with self._watch.read():
            return list(self._pushes)

    @property
    def acks(self) -> list[Ack]:
        """The browser's acks and nacks of this device's pushes."""
        with self._watch.read():
            return list(self._acks)

    def wait(self, count: int = 1, timeout: float = 60) -> list[Push]:
        """Return all pushes, as soon as there are `count`; raise TimeoutError with those that arrived."""
        self._watch.wait_until(
            lambda: len(self._pushes) >= count,
            timeout,
            lambda: f"{len(self._pushes)} of {count} pushes for {self.channel[:8]}",
        )
        return self.pushes

    def answers(
        self,
        answer: int | Answer | Sequence[int | Answer],
        *,
        headers: Mapping[str, str] | None = None,
        body: str | bytes | Mapping[str, Any] | None = None,
    ) -> None:
        """Set the answer to every push from now on; given a list, use each answer once, then answer as usual.

        `headers` and `body` apply to answers that are given as plain numbers.
        """
        with self._watch.change():
            self._script.set(answer, headers, body)

    def answers_normally(self) -> None:
        """Forget the answers that were set."""
        with self._watch.change():
            self._script.clear()

    def unsubscribe(self) -> None:
        """Mark the subscription as given up by the browser: answer 410 from now on."""
        with self._watch.change():
            self.registered = False

    def next_answer(self) -> Answer | None:
        """Return the answer set for the next request, if any; for the service."""
        with self._watch.change():
            return self._script.next()

    def add_push(self, push: Push) -> None:
        """Store an accepted push; for the service."""
        with self._watch.change():
            self._pushes.append(push)

    def add_ack(self, ack: Ack) -> None:
        """Store the browser's acknowledgement; for the service."""
        with self._watch.change():
            self._acks.append(ack)

    def _own_keys(self) -> DeviceKeys:
        if self.keys is None:
            raise LookupError("the keys of this device are inside the browser")
        return self.keys
