"""The site described in OpenAPI, for a fuzzer: every endpoint with what its page, script or address may carry.

Made from what there is already, so that nobody has to keep it: the lines of test_not_allowed, the fields of the pages'
own forms, and the names that our code looks for in addresses.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import feedback_push
from tests.test_not_allowed import LINES, PLACEHOLDER, Line
from tests.visits import Page

_CODE = Path(feedback_push.__file__).parent
_ARGUMENT = re.compile(r"""request\.args(?:\.get(?:list)?\(|\[)\s*"(\w+)\"""")
_LARGEST_ID = 40  # of the ids that are likely to be there
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_HEADERS = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "Range", "User-Agent", "X-Forwarded-For")

Json = dict[str, Any]
Read = Callable[[str], Page]  # the page at an address


def of_site(read: Read, ids: dict[str, str], examples: dict[str, Json]) -> Json:
    """All endpoints. `ids` fill the placeholders of addresses where a page must be read; `examples` are JSON bodies."""
    paths: dict[str, Json] = {}
    asked = sorted(arguments() | _fields("/admin/", read, ids).keys())  # the lists of messages have a form that asks
    for name, line in LINES.items():
        method, path = name.split(" ", 1)[0].lower(), line.address.partition("?")[0]
        body = _body(name, line, read, ids, examples)
        paths.setdefault(path, {})[method] = _operation(name, path, asked, body)
    return {"openapi": "3.0.3", "info": {"title": "Feedback Push", "version": "1"}, "paths": paths}


def arguments() -> set[str]:
    """The names that our code looks for in addresses."""
    return {name for file in _CODE.rglob("*.py") for name in _ARGUMENT.findall(file.read_text())}


def _operation(name: str, path: str, asked: list[str], body: Json | None) -> Json:
    return {
        "operationId": name,
        "parameters": [
            *({"in": "path", "name": id_, "required": True, "schema": _id()} for id_ in PLACEHOLDER.findall(path)),
            *({"in": "query", "name": argument, "schema": _argument()} for argument in asked),
            *({"in": "header", "name": header, "schema": {"type": "string"}} for header in _HEADERS),
        ],
        **({"requestBody": {"content": body}} if body else {}),
        "responses": {"default": {"description": "Anything but a failure of ours."}},
    }


def _body(name: str, line: Line, read: Read, ids: dict[str, str], examples: dict[str, Json]) -> Json | None:
    if line.json is not None:
        return {"application/json": {"schema": _like(examples.get(name, line.json))}}
    if line.form is None:
        return None
    sent = {field: _filled(value, ids) for field, value in line.form.items()}
    has_page = any(other.address == line.address for name, other in LINES.items() if name.startswith("GET "))
    fields = {**(_fields(line.address, read, ids) if has_page else {}), **sent}
    return {kind: {"schema": _like(fields)} for kind in _FORMS}


def _fields(address: str, read: Read, ids: dict[str, str]) -> dict[str, str]:
    """The named fields of a page's forms, boxes that are not checked included."""
    page = read(_filled(address, ids))
    elements = [element for tag in ("input", "textarea", "select") for element in page.all(tag)]
    named = [element.attributes for element in elements if element.attributes.get("name")]
    fields = {attributes["name"]: attributes.get("value", "") for attributes in named} | page.fields
    fields.pop("csrf_token", None)  # a header carries it, and a wrong one would end every call there
    return fields


def _filled(template: str, ids: dict[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: ids.get(match[1], "1"), template)


def _like(example: Any) -> Json:
    """A schema that the example fits, and others of its kind."""
    if isinstance(example, dict):
        return {"type": "object", "properties": {name: _like(value) for name, value in example.items()}}
    if isinstance(example, str):
        return {"anyOf": [{"enum": [example]}, {"type": "string"}]}
    return {"nullable": True}


def _id() -> Json:
    return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": _LARGEST_ID}, {"type": "integer"}]}


def _argument() -> Json:
    return {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "string", "format": "date"}]}
