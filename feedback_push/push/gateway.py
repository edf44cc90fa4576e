"""The one door to the push services: encrypts (RFC 8291), authorises (RFC 8292) and posts (RFC 8030)."""

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial
from itertools import groupby
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, NamedTuple, TypeVar

from flask import current_app
from pywebpush import WebPusher

from feedback_push.config import Settings
from feedback_push.push import answers, endpoints
from feedback_push.push.endpoints import EndpointPolicy, EndpointRefused
from feedback_push.push.errors import (
    KeyMismatch,
    Misconfigured,
    Postponed,
    ProxyFailed,
    PushError,
    Rejected,
    Unavailable,
)
from feedback_push.push.lanes import Lane
from feedback_push.push.signer import Signer
from feedback_push.push.transfer import NoAnswer, Response, Stopped
from feedback_push.push.transport import Transport
from feedback_push.push.vapid import VapidKeys

_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")
_ASKED_ABOUT = 248  # pushes in a lane that are asked about together with those whose turn it is
_AT_ONCE = 8  # pushes encrypted before what has been answered is looked at again


class Push(NamedTuple):
    """One message for one browser: `payload` is the JSON text, `ttl` in seconds; the topic may be left out.

    It is not sent after `start_by`, by the monotonic clock.
    """

    endpoint: str
    p256dh: str
    auth: str
    vapid_public_key: str
    payload: str
    ttl: int
    urgency: str
    topic: str | None
    start_by: float = math.inf


class Result(NamedTuple, Generic[_Key]):
    """What came of the push that was given under this key; no error means that the service accepted it."""

    key: _Key
    status: int | None
    error: PushError | None


# Tells for each of the first keys why its push may not be sent now, or None where it may; the second may come next.
Objections = Callable[[Sequence[_Key], Sequence[_Key]], Sequence[PushError | None]]


class _Job(NamedTuple):
    key: Any
    push: Push
    origin: str
    results: "SimpleQueue[Result[Any]]"
    objections: "Objections[Any] | None"

    def objection(self) -> PushError | None:
        return self.objections([self.key], [])[0] if self.objections else None

    def put(self, error: PushError) -> None:
        self.results.put(Result(self.key, error.status, error))


def current(keys: Iterable[VapidKeys] | None = None) -> "Gateway":
    """The gateway of this process, made at the first call, and again in a forked child.

    From now on it signs with these keys, if they are given.
    """
    gateway: Gateway | None = current_app.extensions.get("push.gateway")
    if gateway is None or not gateway.is_running:
        gateway = current_app.extensions["push.gateway"] = Gateway(current_app.extensions["settings"])
    if keys is not None:
        gateway.sign_with(keys)
    return gateway


class Gateway:
    """Sends many pushes at once over kept-alive connections, from a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._policy = EndpointPolicy.of(settings)
        self._concurrency = settings.push_concurrency
        self._subject = settings.vapid_subject
        self._signers: dict[str, Signer] = {}
        if settings.push_enabled:
            self.sign_with([VapidKeys(settings.vapid_private_key, settings.vapid_public_key)])
        self._lanes: dict[str, Lane[_Job]] = {}
        self._new: SimpleQueue[list[_Job]] = SimpleQueue()
        self._transport = Transport(self._policy.open_socket, settings.push_proxy)
        self._thread = Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether it takes pushes; in a forked child the one of its parent does not."""
        return self._thread.is_alive()

    def sign_with(self, keys: Iterable[VapidKeys]) -> None:
        """Sign each push with that of these keys which its device was made with; tokens of the same keys stay."""
        known = self._signers
        self._signers = {
            key.public_key: known.get(key.public_key) or Signer(key.private_key, self._subject) for key in keys
        }

    def send(
        self,
        pushes: Iterable[tuple[_Key, Push]],
        results: "SimpleQueue[Result[_Key]]",
        objections: Objections[_Key] | None = None,
    ) -> None:
        """Start sending and return at once; every push puts exactly one Result, within seconds.

        A push is not sent where `objections`, asked from the gateway's thread just before, has one.
        """
        self._new.put([_Job(key, push, endpoints.origin(push.endpoint), results, objections) for key, push in pushes])
        self._transport.wake()

    def silent(self) -> list[str]:
        """The origins that have been asked as much as they may be and do not answer at the moment."""
        return [origin for origin, lane in list(self._lanes.items()) if lane.is_silent]

    def _run(self) -> None:
        try:
            while True:
                wait = min((lane.wait for lane in self._lanes.values()), default=math.inf)
                self._transport.step(wait)
                while not self._new.empty():
                    for job in self._new.get():
                        self._lanes.setdefault(job.origin, Lane(self._concurrency)).put(job)
                for lane in self._lanes.values():
                    self._serve(lane)
        except Exception as fault:  # noqa: BLE001 - the next push finds that another gateway is needed
            _log.error("the gateway has stopped: %s", type(fault).__name__)
            self._transport.close()

    def _serve(self, lane: Lane[_Job]) -> None:
        for job in lane.give_up():
            job.put(Postponed(detail="the push service answers slowly"))
        # All are encrypted before the first is posted: in turns with other work it takes a processor longer.
        ready = [(job, self._request(job)) for job in lane.take(_AT_ONCE)]
        objections = _objections([job for job, _ in ready], lane)
        for (job, request), objection in zip(ready, objections, strict=True):
            if isinstance(request, PushError):
                self._end(lane, job, request)
            elif objection:
                self._end(lane, job, objection)
            else:
                self._transport.post(*request, partial(self._answered, lane, job), job.objection)

    def _request(self, job: _Job) -> tuple[str, tuple[str, ...], bytes] | PushError:
        if time.monotonic() > job.push.start_by:
            return Postponed(detail="its worker was held up")
        try:
            self._policy.check(job.push.endpoint)
            push, authorization = job.push, self._authorization(job)
            return push.endpoint, _headers(authorization, push.ttl, push.urgency, push.topic), _encrypted(push)
        except EndpointRefused as refusal:
            return Rejected(detail=str(refusal))
        except PushError as error:
            return error
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not lose the message; the text could name it
            _log.error("a push failed in an unexpected way: %s", type(fault).__name__)
            return Unavailable(detail=type(fault).__name__)

    def _answered(self, lane: Lane[_Job], job: _Job, answer: Response | NoAnswer | Stopped) -> None:
        if isinstance(answer, Stopped):
            self._end(lane, job, answer.reason)
        elif isinstance(answer, NoAnswer):
            kind = ProxyFailed if answer.from_proxy else Unavailable
            self._end(lane, job, kind(detail=answer.words))
        elif answer.status in answers.ACCEPTED:
            lane.leave(None)
            job.results.put(Result(job.key, answer.status, None))
        else:
            self._end(lane, job, self._refusal(job, answer))

    def _end(self, lane: Lane[_Job], job: _Job, error: PushError) -> None:
        lane.leave(error)
        job.put(error)
        if isinstance(error, Misconfigured):
            for other in lane.clear():  # they would be refused too
                other.put(Postponed(detail="the push service refuses what this site sends"))

    def _authorization(self, job: _Job) -> str:
        signer = self._signers.get(job.push.vapid_public_key)
        if signer is None:
            raise KeyMismatch(detail="made with a key that this site no longer has")
        return signer.authorization(job.origin)

    def _refusal(self, job: _Job, response: Response) -> PushError:
        error = answers.refusal(response.status, response.headers(), response.body)
        signer = self._signers.get(job.push.vapid_public_key)
        if signer and isinstance(error, Misconfigured):
            signer.forget(job.origin)
        return error


def _objections(jobs: Iterable[_Job], lane: Lane[_Job]) -> list[PushError | None]:
    """Ask for all jobs of one run together."""
    found: list[PushError | None] = []
    for ask, same in groupby(jobs, key=lambda job: job.objections):
        keys = [job.key for job in same]
        following = [job.key for job in lane.next(_ASKED_ABOUT) if job.objections == ask]
        found += ask(keys, following) if ask else [None] * len(keys)
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


class _ForOne(dict[str, Any]):
    """What WebPusher is given; it copies it for itself, which for what is nobody else's is time lost."""

    def __deepcopy__(self, _memo: object) -> "_ForOne":
        return self


def _encrypted(push: Push) -> bytes:
    device = _ForOne(endpoint=push.endpoint, keys={"p256dh": push.p256dh, "auth": push.auth})
    try:
        body: bytes = WebPusher(device).encode(push.payload.encode())["body"]
    except ValueError:
        raise Rejected(detail="the device's keys are unusable") from None
    return body
