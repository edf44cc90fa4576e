"""Send an answer: properly through aiohttp, or badly, byte by byte."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web

from tests.doubles.push_answers import Answer


async def perform(answer: Answer, request: web.Request, stopping: asyncio.Event) -> web.StreamResponse:
    """Send this answer to the client; return a response for aiohttp."""
    if answer.manner == "plain":
        return web.Response(status=answer.status, body=answer.encoded_body(), headers=answer.all_headers())
    transport = request.transport
    if transport is not None:
        await _MISBEHAVIOURS[answer.manner](answer, transport, stopping)
        _reset(transport)
    return web.Response(status=answer.status)  # never sent: the connection is closed


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait, but only until the service stops."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), seconds)


def _head(answer: Answer, length: int | None) -> bytes:
    headers = answer.all_headers()
    if length is not None:
        headers["Content-Length"] = str(length)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    status_line = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}"
    return "\r\n".join([status_line, *lines, "", ""]).encode()


async def _hang(_answer: Answer, _transport: asyncio.Transport, stopping: asyncio.Event) -> None:
    await stopping.wait()


async def _answer_nothing(_answer: Answer, _transport: asyncio.Transport, _stopping: asyncio.Event) -> None:
    """Send nothing; the connection is reset after every misbehaviour."""


async def _cut(answer: Answer, transport: asyncio.Transport, stopping: asyncio.Event) -> None:
    body = answer.encoded_body()
    transport.write(_head(answer, len(body)) + body[: len(body) // 2])
    await pause(0.05, stopping)  # a reset discards what the client has not read yet


async def _slow(answer: Answer, transport: asyncio.Transport, stopping: asyncio.Event) -> None:
    body = answer.encoded_body()
    for byte in _head(answer, len(body)) + body:
        if stopping.is_set() or transport.is_closing():
            return
        transport.write(bytes([byte]))
        await pause(1.0, stopping)


async def _endless(answer: Answer, transport: asyncio.Transport, stopping: asyncio.Event) -> None:
    transport.write(_head(answer, None))
    while not stopping.is_set() and not transport.is_closing():
        if transport.get_write_buffer_size() < 1_000_000:
            transport.write(b"x" * 65536)
        await pause(0.02, stopping)  # so that a client that keeps reading does not fill the memory at once


def _reset(transport: asyncio.Transport) -> None:
    connection = transport.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        no_lingering = struct.pack("ii", 1, 0)  # closing then sends RST, not FIN
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_lingering)
    transport.abort()


_MISBEHAVIOURS: Final[Mapping[str, Callable[[Answer, asyncio.Transport, asyncio.Event], Awaitable[None]]]] = {
    "hang": _hang,
    "reset": _answer_nothing,
    "cut": _cut,
    "slow": _slow,
    "endless": _endless,
}
