"""The description of the site that the fuzzer goes by."""

from typing import Any

import pytest
from flask import Flask

from feedback_push.auth.models import User
from tests.fuzz import description
from tests.test_not_allowed import METHODS, PLACEHOLDER, signed_in


@pytest.fixture
def described(app: Flask, staff: User) -> dict[str, Any]:
    return description.of_site(signed_in(app, staff.email).read, {}, {})


def test_every_route_is_in_the_description(app: Flask, described: dict[str, Any]) -> None:
    adapter = app.url_map.bind("127.0.0.1")
    found = {
        (method.upper(), adapter.match(PLACEHOLDER.sub("1", path), method.upper())[0])
        for path, operations in described["paths"].items()
        for method in operations
    }
    rules = app.url_map.iter_rules()
    assert found == {(method, rule.endpoint) for rule in rules for method in (rule.methods or set()) & METHODS}


def test_a_form_is_described_by_the_fields_of_its_page(described: dict[str, Any]) -> None:
    body = described["paths"]["/admin/settings"]["post"]["requestBody"]["content"]
    for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        whole, other = body[kind]["schema"]["anyOf"]
        assert {"quiet", "quiet_from", "language", "shows"} <= set(whole["required"])
        assert whole["properties"]["language"]["enum"] == ["", "en", "de", "lt"]
        assert "csrf_token" not in whole["properties"]  # a header carries it
        assert other["properties"].keys() == {*whole["properties"], "csrf_token"}
        assert "required" not in other


def test_good_values_are_offered_beside_any_other(app: Flask, staff: User) -> None:
    known = {"message": ["7", "8"], "undo": ["a token"], "csrf_token": ["another"]}
    body = {"endpoint": "https://push.example.org/1"}
    paths = description.of_site(signed_in(app, staff.email).read, known, {"POST push.unsubscribe": [body]})["paths"]
    [message] = [each for each in paths["/admin/messages/{message}"]["get"]["parameters"] if each["in"] == "path"]
    assert message["schema"] == {"anyOf": [{"enum": [7, 8]}, {"type": "integer"}]}
    moved = paths["/admin/messages/move"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert moved["anyOf"][0]["properties"]["id"] == {"enum": ["7", "8"]}
    undone = paths["/admin/messages/undo"]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert undone["anyOf"][0] == {"type": "object", "properties": {"undo": {"enum": ["a token"]}}, "required": ["undo"]}
    assert undone["anyOf"][1]["properties"]["csrf_token"]["anyOf"][0] == {"enum": ["another"]}
    assert paths["/push/unsubscribe"]["post"]["requestBody"]["content"]["application/json"]["schema"]["anyOf"] == [
        {"enum": [body]},
        {"type": "object", "properties": {"endpoint": {"anyOf": [{"enum": [body["endpoint"]]}, {"type": "string"}]}}},
    ]


def test_an_address_is_described_by_what_our_code_looks_for_in_it(described: dict[str, Any]) -> None:
    parameters = described["paths"]["/admin/"]["get"]["parameters"]
    assert {"before", "next", "tested", "q", "from"} <= {
        parameter["name"] for parameter in parameters if parameter["in"] == "query"
    }


def test_ids_are_parameters_of_the_path(described: dict[str, Any]) -> None:
    parameters = described["paths"]["/admin/messages/{message}"]["get"]["parameters"]
    assert ("path", "message") in {(parameter["in"], parameter["name"]) for parameter in parameters}
