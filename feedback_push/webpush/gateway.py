"""Send many pushes at once: encrypt (RFC 8291), authorize (RFC 8292) and post (RFC 8030) each of them."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

from pywebpush import WebPusher

from feedback_push.webpush import endpoints, responses
from feedback_push.webpush.concurrency import OriginQueue
from feedback_push.webpush.endpoints import EndpointPolicy, EndpointRefused
from feedback_push.webpush.responses import (
    KeyMismatch,
    Misconfigured,
    Postponed,
    ProxyFailed,
    PushError,
    Rejected,
    Unavailable,
)
from feedback_push.webpush.transport import Cancelled, NoAnswer, Response, Transport
from feedback_push.webpush.vapid import Signer, VapidKeys

_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")
LARGEST_PAYLOAD = 3993  # bytes: what fits into the one record of 4096 bytes that RFC 8291 allows
_AT_ONCE = 8  # pushes encrypted before answers are read again
_CHECKED_AHEAD = 248  # further pushes that `before_send` is asked about in the same call


@dataclass(frozen=True)
class Config:
    """`subject` is the contact in VAPID tokens; at most `concurrency` requests are in flight to one origin."""

    subject: str
    policy: EndpointPolicy = field(default_factory=EndpointPolicy)
    concurrency: int = 256
    proxy: str = ""  # http://[user:password@]host:port; it then resolves and connects to the push services


class Push(NamedTuple):
    """One message for one browser: `payload` is JSON text, `ttl` is in seconds and must not be 0.

    `urgency` and `topic` are RFC 8030's. The push is not sent after `start_by`, by the monotonic clock. One that
    `overtakes` is sent before the pushes to the same origin that do not.
    """

    endpoint: str
    p256dh: str
    auth: str
    vapid_public_key: str
    payload: str
    ttl: int = 86400
    urgency: str = "normal"
    topic: str | None = None
    start_by: float = math.inf
    overtakes: bool = False


class Result(NamedTuple, Generic[_Key]):
    """The outcome of the push that was sent under this key; without an error the service accepted it."""

    key: _Key
    status: int | None
    error: PushError | None


# Called just before pushes are sent, with their keys and those of the pushes that follow: returns for each of the first
# an error if it must not be sent any more.
BeforeSend = Callable[[Sequence[_Key], Sequence[_Key]], Sequence[PushError | None]]


class _Job(NamedTuple):
    key: Any
    push: Push
    origin: str
    results: "SimpleQueue[Result[Any]]"
    before_send: "BeforeSend[Any] | None"

    def check(self) -> PushError | None:
        return self.before_send([self.key], [])[0] if self.before_send else None

    def put(self, error: PushError) -> None:
        self.results.put(Result(self.key, error.status, error))


class Gateway:
    """Send many pushes at once over kept-alive connections, from a thread of its own."""

    def __init__(self, config: Config, keys: Iterable[VapidKeys] = ()) -> None:
        self._config = config
        self._signers: dict[str, Signer] = {}
        self.sign_with(keys)
        self._queues: dict[str, OriginQueue[_Job]] = {}
        self._new: SimpleQueue[list[_Job]] = SimpleQueue()
        self._transport = Transport(config.policy.open_socket, config.proxy)
        self._thread = Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """True if it takes pushes; a parent's gateway does not run in a forked child."""
        return self._thread.is_alive()

    def sign_with(self, keys: Iterable[VapidKeys]) -> None:
        """Sign each push with the key that its browser subscribed with, if it is among these; keep known tokens."""
        known = self._signers
        self._signers = {
            key.public_key: known.get(key.public_key) or Signer(key.private_key, self._config.subject) for key in keys
        }

    def send(
        self,
        pushes: Iterable[tuple[_Key, Push]],
        results: "SimpleQueue[Result[_Key]]",
        before_send: BeforeSend[_Key] | None = None,
    ) -> None:
        """Start sending and return at once; each push puts exactly one Result into `results`, within seconds.

        `before_send` can still cancel pushes; it is called in the gateway's thread.
        """
        self._new.put([_Job(key, push, endpoints.origin(push.endpoint), results, before_send) for key, push in pushes])
        self._transport.wake()

    def silent(self) -> list[str]:
        """Return the origins that have as many requests in flight as they may and answer none of them."""
        return [origin for origin, queue in list(self._queues.items()) if queue.is_silent]

    def _run(self) -> None:
        try:
            while True:
                wait = min((queue.wait for queue in self._queues.values()), default=math.inf)
                self._transport.step(wait)
                while not self._new.empty():
                    for job in self._new.get():
                        queue = self._queues.setdefault(job.origin, OriginQueue(self._config.concurrency))
                        queue.put(job, overtakes=job.push.overtakes)
                for queue in self._queues.values():
                    self._serve(queue)
        except Exception as fault:  # noqa: BLE001 - is_running then says that another gateway is needed
            _log.error("the gateway has stopped: %s", type(fault).__name__)
            self._transport.close()

    def _serve(self, queue: OriginQueue[_Job]) -> None:
        for job in queue.take_overdue():
            job.put(Postponed(detail="the push service answers slowly"))
        # Encrypt all before the first is posted: alternating with other work takes a processor longer.
        encrypted = [(job, self._request(job)) for job in queue.take(_AT_ONCE)]
        refusals = _refusals([job for job, _ in encrypted], queue)
        for (job, request), refusal in zip(encrypted, refusals, strict=True):
            if isinstance(request, PushError):
                self._end(queue, job, request)
            elif refusal:
                self._end(queue, job, refusal)
            else:
                self._transport.post(*request, partial(self._answered, queue, job), job.check)

    def _request(self, job: _Job) -> tuple[str, tuple[str, ...], bytes] | PushError:
        if time.monotonic() > job.push.start_by:
            return Postponed(detail="its worker was held up")
        try:
            self._config.policy.check(job.push.endpoint)
            push, authorization = job.push, self._authorization(job)
            return push.endpoint, _headers(authorization, push.ttl, push.urgency, push.topic), _encrypted(push)
        except EndpointRefused as refusal:
            return Rejected(detail=str(refusal))
        except PushError as error:
            return error
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not lose the message; the text could name it
            _log.error("a push failed unexpectedly: %s", type(fault).__name__)
            return Unavailable(detail=type(fault).__name__)

    def _answered(self, queue: OriginQueue[_Job], job: _Job, answer: Response | NoAnswer | Cancelled) -> None:
        if isinstance(answer, Cancelled):
            self._end(queue, job, answer.error)
        elif isinstance(answer, NoAnswer):
            kind = ProxyFailed if answer.from_proxy else Unavailable
            self._end(queue, job, kind(detail=answer.reason))
        elif answer.status in responses.ACCEPTED:
            queue.finish(None)
            job.results.put(Result(job.key, answer.status, None))
        else:
            self._end(queue, job, self._refusal(job, answer))

    def _end(self, queue: OriginQueue[_Job], job: _Job, error: PushError) -> None:
        queue.finish(error)
        job.put(error)
        if isinstance(error, Misconfigured):
            for other in queue.take_all():  # they would be refused too
                other.put(Postponed(detail="the push service refuses what this site sends"))

    def _authorization(self, job: _Job) -> str:
        signer = self._signers.get(job.push.vapid_public_key)
        if signer is None:
            raise KeyMismatch(detail="the subscription uses a key that this site no longer has")
        return signer.authorization(job.origin)

    def _refusal(self, job: _Job, response: Response) -> PushError:
        error = responses.error_for(response.status, response.headers(), response.body)
        signer = self._signers.get(job.push.vapid_public_key)
        if signer and isinstance(error, Misconfigured):
            signer.forget(job.origin)
        return error


def _refusals(jobs: Iterable[_Job], queue: OriginQueue[_Job]) -> list[PushError | None]:
    """Call `before_send` once for all jobs of one `send`."""
    found: list[PushError | None] = []
    for before_send, same in groupby(jobs, key=lambda job: job.before_send):
        keys = [job.key for job in same]
        following = [job.key for job in queue.peek(_CHECKED_AHEAD) if job.before_send == before_send]
        found += before_send(keys, following) if before_send else [None] * len(keys)
    return found


@lru_cache
def _headers(authorization: str, ttl: int, urgency: str, topic: str | None) -> tuple[str, ...]:
    return (
        f"Authorization: {authorization}",
        "Content-Encoding: aes128gcm",
        "Content-Type: application/octet-stream",
        f"TTL: {ttl}",
        f"Urgency: {urgency}",
        *([f"Topic: {topic}"] if topic else []),
    )


def _encrypted(push: Push) -> bytes:
    payload = push.payload.encode()
    if len(payload) > LARGEST_PAYLOAD:  # the library would make a second record, which no browser can read
        raise Rejected(detail="the message is too large")
    try:
        pusher = WebPusher({"endpoint": push.endpoint, "keys": {"p256dh": push.p256dh, "auth": push.auth}})
        body: bytes = pusher.encode(payload)["body"]
    except ValueError:
        raise Rejected(detail="the keys of the device are invalid") from None
    return body
