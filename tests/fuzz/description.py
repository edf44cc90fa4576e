"""The site described in OpenAPI, for a fuzzer: every endpoint with the fields of its page, script or address.

Generated from existing sources, so that it needs no upkeep: the lines of test_not_allowed, the fields of the pages'
own forms, and the names that our code reads from addresses. Half of the requests are complete, so that they pass
the first check: every field has a valid value. The other half may contain anything.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import feedback_push
from tests.test_not_allowed import LINES, PLACEHOLDER, Line
from tests.visits import Page

_CODE = Path(feedback_push.__file__).parent
_ARGUMENT = re.compile(r"""request\.args(?:\.get(?:list)?\(|\[)\s*"(\w+)\"""")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
_HEADERS = ("Accept", "Accept-Language", "If-None-Match", "If-Modified-Since", "Range", "User-Agent", "X-Forwarded-For")

Json = dict[str, Any]
Known = Mapping[str, list[str]]  # good values for the placeholders of LINES, and for fields of the same name
Read = Callable[[str], Page]  # the page at an address


def of_site(read: Read, known: Known, examples: Mapping[str, list[Json]]) -> Json:
    """Return all endpoints. `examples` are JSON bodies that replace the one in LINES."""
    paths: dict[str, Json] = {}
    asked = sorted(arguments() | _fields("/admin/", read, known).keys())  # the lists of messages have a form that asks
    for name, line in LINES.items():
        method, path = name.split(" ", 1)[0].lower(), line.address.partition("?")[0]
        body = _body(name, line, read, known, examples)
        paths.setdefault(path, {})[method] = _operation(name, path, asked, known, body)
    return {"openapi": "3.0.3", "info": {"title": "Feedback Push", "version": "1"}, "paths": paths}


def arguments() -> set[str]:
    """Return the names that our code reads from addresses."""
    return {name for file in _CODE.rglob("*.py") for name in _ARGUMENT.findall(file.read_text())}


def _operation(name: str, path: str, asked: list[str], known: Known, body: Json | None) -> Json:
    return {
        "operationId": name,
        "parameters": [
            *(
                {"in": "path", "name": id_, "required": True, "schema": _id(known.get(id_, []))}
                for id_ in PLACEHOLDER.findall(path)
            ),
            *({"in": "query", "name": argument, "schema": _argument(known.get(argument, []))} for argument in asked),
            *({"in": "header", "name": header, "schema": {"type": "string"}} for header in _HEADERS),
        ],
        **({"requestBody": {"required": True, "content": body}} if body else {}),
        "responses": {"default": {"description": "Anything but a failure of ours."}},
    }


def _body(name: str, line: Line, read: Read, known: Known, examples: Mapping[str, list[Json]]) -> Json | None:
    if line.json is not None:
        return {"application/json": {"schema": _half_whole(examples.get(name) or _filled_json(line.json, known))}}
    if line.form is None:
        return None
    has_page = any(other.address == line.address for name, other in LINES.items() if name.startswith("GET "))
    fields = _fields(line.address, read, known) if has_page else {}
    for field, value in line.form.items():
        values = [*_filled(value, known), *known.get(field, []), *fields.get(field, [])]
        fields[field] = list(dict.fromkeys(values))
    schema = {"anyOf": [_form(fields, whole=True), _form(fields | _token(known), whole=False)]}
    return {kind: {"schema": schema} for kind in _FORMS}


def _token(known: Known) -> dict[str, list[str]]:
    # Where it is missing a header carries a good one; here it may be another.
    return {"csrf_token": known.get("csrf_token", [])}


def _form(fields: Mapping[str, list[str]], *, whole: bool) -> Json:
    properties = {name: {"enum": values} if whole else _like(values) for name, values in fields.items()}
    return {"type": "object", "properties": properties, **({"required": sorted(fields)} if whole and fields else {})}


def _fields(address: str, read: Read, known: Known) -> dict[str, list[str]]:
    """Return the named fields of a page's forms, including unchecked boxes, each with its possible values."""
    [filled, *_] = _filled(address, known)
    page = read(filled)
    found: dict[str, list[str]] = {}
    select: list[str] = []
    for element in page.elements:
        name = element.attributes.get("name", "")
        if element.tag == "option":
            select.append(element.attributes.get("value", ""))
        elif element.tag in ("input", "textarea", "button", "select") and name:
            values = select = found.setdefault(name, [])
            if element.tag != "select":
                values.append(
                    page.fields.get(name, "") if element.tag == "textarea" else element.attributes.get("value", "")
                )
    found.pop("csrf_token", None)  # see _token
    return {name: list(dict.fromkeys([*known.get(name, []), *values])) or [""] for name, values in found.items()}


def _filled(template: str, known: Known) -> list[str]:
    """Return the template with each valid value for its placeholder; it has one at most."""
    names = PLACEHOLDER.findall(template)
    return [PLACEHOLDER.sub(value, template) for value in known.get(names[0], ["1"])] if names else [template]


def _filled_json(template: Json, known: Known) -> list[Json]:
    return [json.loads(text) for text in _filled(json.dumps(template), known)]


def _half_whole(examples: list[Json]) -> Json:
    return {"anyOf": [{"enum": examples}, _like(examples)]}


def _like(examples: Iterable[Any]) -> Json:
    """Return a schema that fits the examples and similar values."""
    kept = list(examples)
    if kept and isinstance(kept[0], dict):
        names = dict.fromkeys(name for example in kept for name in example)
        return {"type": "object", "properties": {name: _like(e[name] for e in kept if name in e) for name in names}}
    if kept and isinstance(kept[0], str):
        return {"anyOf": [{"enum": list(dict.fromkeys(kept))}, {"type": "string"}]}
    return {"type": "string"} if not kept else {"nullable": True}


def _id(known: list[str]) -> Json:
    """Return a schema for ids, or for the tokens of private links."""
    if known and not all(id_.isdigit() for id_ in known):
        return {"anyOf": [{"enum": known}, {"type": "string"}]}
    return {"anyOf": [*([{"enum": [int(id_) for id_ in known]}] if known else []), {"type": "integer"}]}


def _argument(known: list[str]) -> Json:
    others = [{"type": "string"}, {"type": "integer"}, {"type": "string", "format": "date"}]
    return {"anyOf": [*([{"enum": known}] if known else []), *others]}
