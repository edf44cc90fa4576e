"""The one door to the push services: encrypts (RFC 8291), authorises (RFC 8292) and posts (RFC 8030)."""

import asyncio
import logging
import os
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar

import aiohttp
from flask import current_app
from pywebpush import WebPusher

from feedback_push.config import Settings
from feedback_push.push import answers, endpoints
from feedback_push.push.endpoints import EndpointPolicy, EndpointRefused
from feedback_push.push.errors import KeyMismatch, Misconfigured, PushError, Rejected, Unavailable
from feedback_push.push.lanes import Lane
from feedback_push.push.signer import Signer

_log = logging.getLogger(__name__)
_Key = TypeVar("_Key")
_TIMEOUT = aiohttp.ClientTimeout(total=10, sock_connect=5)  # seconds
_LONGEST_REASON = 2048  # bytes
_TIME_FOR_A_REASON = 2  # seconds


@dataclass(frozen=True, slots=True)
class Push:
    """One message for one browser: `payload` is the JSON text, `ttl` in seconds; the topic may be left out."""

    endpoint: str
    p256dh: str
    auth: str
    vapid_public_key: str
    payload: str
    ttl: int
    urgency: str
    topic: str | None


@dataclass(frozen=True, slots=True)
class Result(Generic[_Key]):
    """What came of the push that was given under this key; no error means that the service accepted it."""

    key: _Key
    status: int | None
    error: PushError | None


def current() -> "Gateway":
    """The gateway of this process, made at the first call; a forked child makes its own."""
    gateway: Gateway | None = current_app.extensions.get("push.gateway")
    if gateway is None or gateway.pid != os.getpid():
        gateway = current_app.extensions["push.gateway"] = Gateway(current_app.extensions["settings"])
    return gateway


class Gateway:
    """Sends many pushes at once over kept-alive connections, from an event loop in a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self.pid = os.getpid()
        self._policy = EndpointPolicy.of(settings)
        self._concurrency = settings.push_concurrency
        self._signers = _signers(settings)
        self._lanes: dict[str, Lane] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        Thread(target=self._run, name="gateway", daemon=True).start()
        # Waited for, so that no push starts before it and what prevents it is raised here.
        self._session = asyncio.run_coroutine_threadsafe(self._open(), self._loop).result()

    def send(self, pushes: Iterable[tuple[_Key, Push]], results: "SimpleQueue[Result[_Key]]") -> None:
        """Start sending and return at once; every push puts exactly one Result, within seconds."""
        self._loop.call_soon_threadsafe(self._start, list(pushes), results)

    def _run(self) -> None:
        self._loop.run_forever()

    async def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the lanes bound it
            ssl=ssl.create_default_context(),
            socket_factory=self._policy.open_socket,
            keepalive_timeout=30,
        )
        return aiohttp.ClientSession(
            connector=connector,
            timeout=_TIMEOUT,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Uncompressed, because the reason of a refusal is read as it comes.
            headers={"User-Agent": "feedback-push", "Accept-Encoding": "identity"},
        )

    def _start(self, pushes: list[tuple[_Key, Push]], results: "SimpleQueue[Result[_Key]]") -> None:
        for key, push in pushes:
            task = self._loop.create_task(self._answer(key, push, results))
            self._sending.add(task)  # the loop itself keeps only weak references
            task.add_done_callback(self._sending.discard)

    async def _answer(self, key: _Key, push: Push, results: "SimpleQueue[Result[_Key]]") -> None:
        try:
            results.put(Result(key, await self._in_lane(push), None))
        except PushError as error:
            results.put(Result(key, error.status, error))
        except Exception as error:  # noqa: BLE001 - a fault of ours must not lose the message; the text could name it
            _log.error("a push failed in an unexpected way: %s", type(error).__name__)
            results.put(Result(key, None, Unavailable(detail=type(error).__name__)))

    async def _in_lane(self, push: Push) -> int:
        origin = endpoints.origin(push.endpoint)
        lane = self._lanes.setdefault(origin, Lane(self._concurrency))
        await lane.enter()
        failure: PushError | None = None
        try:
            return await self._post(push, origin)
        except PushError as error:
            failure = error
            raise
        finally:
            lane.leave(failure)

    async def _post(self, push: Push, origin: str) -> int:
        body, headers = self._encrypt(push), self._headers(push, origin)
        try:
            async with self._session.post(push.endpoint, data=body, headers=headers, allow_redirects=False) as response:
                if response.status in answers.ACCEPTED:
                    return response.status
                raise self._refusal(push, origin, response, await _reason(response))
        except TimeoutError:
            raise Unavailable(detail="no answer in time") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unavailable(detail=_network_words(error)) from None

    def _encrypt(self, push: Push) -> bytes:
        try:
            self._policy.check(push.endpoint)
            keys = {"p256dh": push.p256dh, "auth": push.auth}
            body: bytes = WebPusher({"endpoint": push.endpoint, "keys": keys}).encode(push.payload.encode())["body"]
        except EndpointRefused as error:
            raise Rejected(detail=str(error)) from None
        except ValueError:
            raise Rejected(detail="the device's keys are unusable") from None
        return body

    def _headers(self, push: Push, origin: str) -> dict[str, str]:
        signer = self._signers.get(push.vapid_public_key)
        if signer is None:
            raise KeyMismatch(detail="made with a key that this site no longer has")
        headers = {
            "Authorization": signer.authorization(origin),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(push.ttl),
            "Urgency": push.urgency,
        }
        return headers | {"Topic": push.topic} if push.topic else headers

    def _refusal(self, push: Push, origin: str, response: aiohttp.ClientResponse, reason: bytes) -> PushError:
        error = answers.refusal(response.status, response.headers, reason)
        if isinstance(error, Misconfigured):
            self._signers[push.vapid_public_key].forget(origin)
        return error


def _signers(settings: Settings) -> dict[str, Signer]:
    if not settings.push_enabled:
        return {}
    return {settings.vapid_public_key: Signer(settings.vapid_private_key, settings.vapid_subject)}


async def _reason(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of a refusal; what does not come soon is not worth waiting for."""
    reason = b""
    try:
        async with asyncio.timeout(_TIME_FOR_A_REASON):
            while len(reason) < _LONGEST_REASON and (part := await response.content.read(_LONGEST_REASON)):
                reason += part
    except (TimeoutError, aiohttp.ClientError):
        pass
    return reason[:_LONGEST_REASON]


def _network_words(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError):
        return "its certificate is not valid for it"
    if isinstance(error, aiohttp.ClientConnectorError | OSError):
        return f"cannot connect: {getattr(error, 'strerror', None) or type(error).__name__}"
    return "the connection broke before an answer"
