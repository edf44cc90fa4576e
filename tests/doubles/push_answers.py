"""Answers that a push service may give, including misbehaviours, and their order."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Manner = Literal["plain", "hang", "reset", "cut", "slow", "endless"]


@dataclass(frozen=True)
class Answer:
    """One answer; with a 2xx status the push is checked and recorded, with any other it is dropped.

    The body may be text, bytes, or a mapping that is sent as JSON. Manners: `plain`; `hang`: nothing until the service
    stops; `reset`: the connection is reset without an answer; `cut`: reset after half the body; `slow`: one byte a
    second from the status line on; `endless`: a body without an end.
    """

    status: int = 201
    body: str | bytes | Mapping[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    manner: Manner = "plain"

    @property
    def accepts(self) -> bool:
        return 200 <= self.status < 300

    def encoded_body(self) -> bytes:
        if isinstance(self.body, Mapping):
            return json.dumps(dict(self.body)).encode()
        return self.body.encode() if isinstance(self.body, str) else self.body

    def all_headers(self) -> dict[str, str]:
        json_type = {"Content-Type": "application/json"} if isinstance(self.body, Mapping) else {}
        return {**json_type, **self.headers}


NORMAL: Final = Answer()
HANG: Final = Answer(503, manner="hang")
RESET: Final = Answer(503, manner="reset")
ACCEPTED_THEN_RESET: Final = Answer(201, manner="reset")
CUT: Final = Answer(201, body="x" * 1000, manner="cut")
SLOW: Final = Answer(201, manner="slow")
ENDLESS: Final = Answer(201, manner="endless")


def redirect(url: str, status: int = 307) -> Answer:
    """Return an answer that redirects the client."""
    return Answer(status, headers={"Location": url})


class Script:
    """The answers set for a device or a whole service: one for ever, or several, each once."""

    def __init__(self) -> None:
        self._in_turn: list[Answer] = []
        self._always: Answer | None = None

    def set(
        self,
        answer: int | Answer | Sequence[int | Answer],
        headers: Mapping[str, str] | None,
        body: str | bytes | Mapping[str, Any] | None,
    ) -> None:
        several = [answer] if isinstance(answer, int | Answer) else list(answer)
        made = [_made(each, headers or {}, body or b"") for each in several]
        if isinstance(answer, int | Answer):
            self._in_turn, self._always = [], made[0]
        else:
            self._in_turn, self._always = made, None

    def clear(self) -> None:
        self._in_turn, self._always = [], None

    def next(self) -> Answer | None:
        return self._in_turn.pop(0) if self._in_turn else self._always


def _made(answer: int | Answer, headers: Mapping[str, str], body: str | bytes | Mapping[str, Any]) -> Answer:
    return Answer(answer, body, headers) if isinstance(answer, int) else answer
