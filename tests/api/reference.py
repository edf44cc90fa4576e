"""The reference in docs/api.md, made from the OpenAPI description."""

from collections.abc import Iterator
from typing import Any

from tests.servers import CHECKOUT

FILE = CHECKOUT / "docs" / "api.md"
MARK = "<!-- Made by `python -m tests.api`; a test compares the two. -->\n"
_METHODS = ("get", "post", "patch")


def of(description: dict[str, Any]) -> str:
    """Return the reference as Markdown."""
    lines: list[str] = []
    for path, operations in description["paths"].items():
        for method in _METHODS:
            if method in operations:
                shared = operations.get("parameters", [])
                lines += _operation(f"{method.upper()} {path}", operations[method], shared, description)
    return "\n".join(lines) + "\n"


def bring_up_to_date(description: dict[str, Any]) -> None:
    """Write the reference into the document."""
    FILE.write_text(f"{FILE.read_text().partition(MARK)[0]}{MARK}\n{of(description)}")


def written() -> str:
    """Return the reference in the document."""
    return FILE.read_text().partition(f"{MARK}\n")[2]


def _operation(title: str, operation: dict[str, Any], shared: list[Any], description: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`\n"
    text = " ".join((operation["summary"] + "\n" + operation.get("description", "")).split())
    scopes = [scope for each in operation.get("security", []) for scope in each.get("key", [])]
    yield f"{text} {f'Scope: `{scopes[0]}`.' if scopes else 'No key.'}\n"
    rows = [_row(each["name"], each["in"], each["schema"], each.get("required"), each) for each in
            [*shared, *operation.get("parameters", [])]]  # fmt: skip
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        schema = _resolved(body, description)
        required = schema.get("required", [])
        rows += [_row(name, "body", _resolved(each, description), name in required, each) for name, each in
                 schema["properties"].items()]  # fmt: skip
    if rows:
        yield "| field | in | type | |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    yield "Answers: " + ", ".join(_answers(operation["responses"])) + ".\n"


def _answers(responses: dict[str, Any]) -> Iterator[str]:
    for status, response in sorted(responses.items()):
        content = response.get("content", {}).get("application/json", {}).get("schema", {})
        name = content.get("$ref", "").rpartition("/")[2]
        yield f"{status} `{name}`" if name else str(status)


def _row(name: str, place: str, schema: dict[str, Any], required: bool | None, said: dict[str, Any]) -> str:
    text = said.get("description") or schema.get("description") or ""
    return f"| `{name}`{' (required)' if required else ''} | {place} | {_type(schema)} | {text} |"


def _type(schema: dict[str, Any]) -> str:
    if "oneOf" in schema:
        return " or ".join(_type(each) for each in schema["oneOf"])
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "object" and "properties" in schema:
        return "object with " + ", ".join(f"`{name}`" for name in schema["properties"])
    kind = f"{schema.get('type', 'any')}"
    limits = {"at least": "minimum", "at most": "maximum", "characters:": "maxLength", "items:": "maxItems"}
    found = [f"{word} {schema[key]}" for word, key in limits.items() if key in schema and schema[key] < 10**9]
    return f"{kind} ({', '.join(found)})" if found else kind


def _resolved(schema: dict[str, Any], description: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = description["components"]["schemas"][name] if name else schema
    return found
