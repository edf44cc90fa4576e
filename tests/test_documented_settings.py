"""Every variable that the package reads is in docs/settings.md and in .env.example, and the other way round."""

import ast
import re
from collections.abc import Callable

import pytest

from tests.servers import CHECKOUT

VARIABLE = r"[A-Z][A-Z0-9_]+"


def read_by_the_package() -> set[str]:
    """Return the first argument of every call such as env.str("NAME", …)."""
    return {
        name
        for path in (CHECKOUT / "feedback_push").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and (name := _variable(node))
    }


def _variable(call: ast.Call) -> str | None:
    match call:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="env")), args=[ast.Constant(value=str(name)), *_]):
            return name if re.fullmatch(VARIABLE, name) else None
    return None


def in_the_tables() -> set[str]:
    """Return the names in the first column of the tables."""
    rows = [line.split("|")[1] for line in (CHECKOUT / "docs/settings.md").read_text().splitlines() if line[:1] == "|"]
    return {name for cell in rows for name in re.findall(rf"`({VARIABLE})`", cell)}


def in_the_example() -> set[str]:
    """Return the names that are set, or commented out."""
    return set(re.findall(rf"^#?({VARIABLE})=", (CHECKOUT / ".env.example").read_text(), re.MULTILINE))


def test_the_names_are_found_at_all() -> None:
    assert {"SECRET_KEY", "DATABASE_URL", "PORT", "ADMIN_EMAIL"} <= read_by_the_package()


@pytest.mark.parametrize("documented", [in_the_tables, in_the_example], ids=["docs/settings.md", ".env.example"])
def test_every_setting_is_documented_and_every_documented_one_is_read(documented: Callable[[], set[str]]) -> None:
    names, read = documented(), read_by_the_package()
    assert {"not documented": read - names, "not read": names - read} == {"not documented": set(), "not read": set()}


def test_the_defaults_in_the_example_are_the_defaults() -> None:
    settings = {
        node.target.id: ast.literal_eval(node.value)
        for node in ast.walk(ast.parse((CHECKOUT / "feedback_push/config.py").read_text()))
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    commented = re.findall(r"^#([A-Z_]+)=(.*)$", (CHECKOUT / ".env.example").read_text(), re.MULTILINE)
    shown = {name.lower(): value for name, value in commented if name.lower() in settings and name != "VAPID_SUBJECT"}
    shown = {name: {"on": "true", "off": "false"}.get(value, value) for name, value in shown.items()}
    defaults = {name: "" if settings[name] is None else str(settings[name]).lower() for name in shown}
    assert {name: value.lower() for name, value in shown.items()} == defaults
    assert shown.keys() >= {"push_ttl", "push_concurrency", "admin_url", "trusted_proxies", "host", "port"}
