"""Records of a push service: accepted pushes, the browsers' acks, and all requests."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.doubles.device_keys import DeviceKeys


@dataclass(frozen=True)
class Push:
    """An accepted push; `received_at` is by `time.monotonic()`, and header names ignore case."""

    id: str
    channel: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    ttl: int
    topic: str | None
    urgency: str | None
    claims: Mapping[str, Any]
    received_at: float
    keys: DeviceKeys | None = field(repr=False)

    @cached_property
    def payload(self) -> bytes:
        """The decrypted payload; ValueError if it is not for this device, or if a browser has the keys."""
        if self.keys is None:
            raise ValueError("this push cannot be read: its keys are inside the browser")
        return self.keys.decrypt(self.body)

    def json(self) -> Any:
        """Return the decrypted payload, parsed as JSON."""
        return json.loads(self.payload)


@dataclass(frozen=True)
class Ack:
    """A browser's report on a push: ack 100 dispatched, 101 not decrypted, 102 not delivered; nack 301, 302."""

    kind: str
    channel: str
    push_id: str
    code: int
    received_at: float


@dataclass
class Request:
    """One request to the service.

    `status` is None until it is answered, and if no answer was sent. `refusal` names the rule that it broke; an answer
    set by the test is not a refusal. `client` is the address and port of the connection.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    client: tuple[str, int]
    received_at: float
    body: bytes = field(default=b"", repr=False)
    status: int | None = None
    refusal: str | None = None

    def __str__(self) -> str:
        refusal = f" ({self.refusal})" if self.refusal else ""
        return f"{self.method} {self.path[:30]} -> {self.status}{refusal}"
