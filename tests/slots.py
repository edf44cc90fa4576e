"""Find every field of a request that a stranger can fill in, and texts that take more space than they seem to.

The fields come from the requests in test_not_allowed, the forms of the pages and the arguments that our code reads (see
tests/fuzz/description.py). Only the fields in headers and cookies are listed here.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

from tests.fuzz import description
from tests.fuzz.description import Known, Read
from tests.test_not_allowed import LINES, Line

PLAIN = "žąsų ėdžiojė "  # most of its letters take two bytes, like the marks below
# Each can be repeated to a text of any length.
TEXTS = {
    "accents of two classes": "\u0301\u0323",
    "points of two classes": "\u05bc\u05b0",
    "marks that unfold": "\u0344\u0f73\uff9e\uff9f",
    "joiners": "👩\u200d\u200d",
    "bidi controls": "\u202e\u2066\u05d0",
    "nested quotes": "\"'([{<\\%",
    "one word": "9",
    "separators": ",;=a.@",
    "what unfolds to eighteen": "\ufdfa",
    "all scripts": "aя語ก\u0e31א\u05b0ع\u064bह\u093f한Σ\u0301 \n\t",
}
_HEADERS = (
    *("User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Referer", "Origin", "X-Forwarded-For"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "X-CSRFToken", "If-None-Match", "If-Modified-Since", "Range"),
    *("Authorization", "Sec-Fetch-Site"),
)
_ALONE = ("Host", "Content-Type")  # headers that end a request, so that the other headers would not be read
_ALL = "all"  # all arguments or all headers together, because none prevents the others from being read
_COOKIES = ("session", "remember_token", "known_browser")
_ROOM = {"form": 60_000, "json": 7_500, "query": 2_500, "header": 4_000, "cookie": 3_500, "path": 1_500}
_ROOM_OF = {"POST /feedback/ form content": 2_900_000, "POST /push/receipt json token": 900}
# Fields that a line's form does not need. The same code reads every token, so these are enough of them.
_MORE = {
    "/feedback/": ("csrf_token", "opened", "proof", "unknown"),
    "/login": ("csrf_token",),
    "/admin/messages/move": ("csrf_token", "next", "back"),
    "/admin/messages/undo": ("csrf_token", "next", "back"),
}
_LONGEST = 250_000  # characters; no field accepts as many


@dataclass(frozen=True)
class Slot:
    """One field of a request; the rest of the request is valid."""

    method: str
    path: str
    where: str
    name: str
    rest: Any = None

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.where} {self.name}"

    @property
    def room(self) -> int:
        """The bytes of text that the field may have, so that the request is not refused for its size alone."""
        return _ROOM_OF.get(str(self), _ROOM[self.where])

    def text(self, unit: str, room: int | None = None) -> str:
        """Return the unit, repeated until its encoded form fills the room."""
        encoded = len(quote(unit)) if self.where in ("form", "query", "path") else len(unit.encode())
        if self.where == "query":
            encoded *= len(_arguments())
        if self.where == "json":
            encoded = len(json.dumps(unit, ensure_ascii=False).encode()) - 2
        return (unit * (1 + _LONGEST // len(unit)))[: min(_LONGEST, (room or self.room) // encoded * len(unit))]

    def request(self, text: str) -> dict[str, Any]:
        """Return the method, path, headers and data of the request with the text in the field."""
        headers: dict[str, str] = {}
        path, data = self.path, self.rest if isinstance(self.rest, bytes) else None
        match self.where:
            case "form":
                data = urlencode({**self.rest, self.name: text}).encode()
                headers["Content-Type"] = "application/x-www-form-urlencoded"
            case "json":
                data = json.dumps(_put(self.rest, self.name.split("."), text), ensure_ascii=False).encode()
                headers["Content-Type"] = "application/json"
            case "query":
                path += f"?{urlencode(dict.fromkeys(_arguments(), text))}"
            case "path":
                path += quote(text, safe="")
            case "header":
                names = _HEADERS if self.name == _ALL else (self.name,)
                headers = dict.fromkeys(names, _one_line(text))
            case "cookie":
                headers["Cookie"] = f"{self.name}={_one_line(text)}"
        return {"method": self.method, "path": path, "headers": headers, "data": data}


def of(read: Read, known: Known) -> list[Slot]:
    """Return all fields; `read` and `known` are as in tests/fuzz/description.py."""
    paths = description.of_site(read, known, {})["paths"]
    described = {
        f"{method.upper()} {path}": operation for path, to in paths.items() for method, operation in to.items()
    }
    found: list[Slot] = []
    for name, line in LINES.items():
        method, path = name.split(" ")[0], line.address.partition("?")[0]
        slots = _of_line(method, line, described[f"{method} {path}"], known)
        found += [replace(slot, path=_filled(slot.path, known)) for slot in slots]
    return [*found, *_of_every_request()]


# Fields that the same code reads as others here: in other languages, of the next questions, at another address.
_AGAIN = re.compile(r"_(de|lt)$|^(question|required|long)[2-9](_en)?$")
_SAME_FORMS = ("/admin/forms/new", "/admin/topics/{topic}/edit")


@cache
def _arguments() -> list[str]:
    return sorted(description.arguments())


def _of_line(method: str, line: Line, operation: Mapping[str, Any], known: Known) -> Iterator[Slot]:
    path = line.address.partition("?")[0]
    if method == "GET":
        yield Slot(method, path, "query", _ALL)
    if line.json is not None:
        good = json.loads(_filled(json.dumps(line.json), known))
        yield from (Slot(method, path, "json", name, good) for name in [*_leaves(good), "applicationServerKey"])
    if line.form is not None and path not in _SAME_FORMS:
        whole, _ = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]["anyOf"]
        good = {name: values["enum"][0] for name, values in whole["properties"].items()}
        more = _MORE.get(path, ())
        names = [name for name in dict.fromkeys([*good, *more]) if not _AGAIN.search(name)]
        yield from (Slot(method, path, "form", name, _without_end(path, name, good)) for name in names)


def _without_end(path: str, name: str, good: dict[str, str]) -> dict[str, str]:
    """Return the form's fields, changed so that a request whose tested field is accepted does not end the session."""
    if path == "/login" and name != "password":
        return {**good, "password": "not the password"}
    if path.endswith("/password") and name != "current":
        return {**good, "again": "not the same"}
    return good


def _of_every_request() -> Iterator[Slot]:
    for method, path in (("GET", "/feedback/"), ("GET", "/admin/"), ("POST", "/feedback/")):
        yield from (Slot(method, path, "header", name, b"content=x") for name in (_ALL, *_ALONE))
    for path in ("/feedback/", "/admin/"):
        yield from (Slot("GET", path, "cookie", name) for name in _COOKIES)
    yield Slot("POST", "/login", "cookie", _COOKIES[-1], b"email=staff@example.org&password=x")
    for path in ("/", "/admin/messages/", "/static/", "/push/"):
        yield Slot("GET", path, "path", "")


def _filled(template: str, known: Known) -> str:
    for name, values in known.items():
        template = template.replace(f"{{{name}}}", values[0])
    return template


def _leaves(value: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for name, inner in value.items():
        if isinstance(inner, dict):
            yield from _leaves(inner, f"{before}{name}.")
        else:
            yield before + name


def _put(value: Any, path: list[str], text: str) -> Any:
    return {**value, path[0]: _put(value.get(path[0], {}), path[1:], text) if path[1:] else text}


def _one_line(text: str) -> str:
    # A server passes the bytes of a header as Latin-1 (PEP 3333).
    return text.replace("\n", " ").replace("\t", " ").strip().encode().decode("latin-1")
