"""The import order: a module imports only from the layers to its left, and two libraries have one door each."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.servers import CHECKOUT

PACKAGE = "feedback_push"
LAYERS = [
    {"installation"},
    {"setting_validators", "secret_files", "redis_urls"},
    {"vapid_formats"},
    {"branding_validators", "notification_validators", "url_validators", "vapid_validators"},
    {"config"},
    {"sqlite", "ids"},
    {"database"},
    {
        "browser_name",
        "accent",
        "bidi",
        "branding",
        "email_address",
        "typed_text",
        "csrf",
        "counters",
        "disk",
        "search_text",
        "header_limits",
        "extensions",
        "celery",
        "dispatch",
        "encryption",
        "maintenance",
        "secret_keys",
        "security",
        "security_txt",
        "site_path",
        "site_secrets",
        "static_files",
        "concurrency_limit",
        "error_reports",
        "errors",
        "event_counts",
        "health",
        "language",
        "links",
        "logs",
        "network_address",
        "private_links",
        "problems",
        "request_ids",
        "request_limits",
        "tracing",
        "migrations",
    },
    {"auth"},
    {"webpush"},
    {"http_client"},
    {"push"},
    {"feedback"},
    {"topics"},
    {"webhooks"},
    {"alarms"},
    {"visitors"},
    {"api"},
    {"monitoring"},
    {"imports"},
    {"demo"},
    {"backup"},
    {"doctor"},
    {"admin"},
    {"secret_rotation"},
    {"create_app", "cli"},
    {"web_server"},
    {"standalone", "worker"},
    {"__main__", "wsgi", "celery_worker"},
]
RANKS = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
ONE_DOOR = {
    "pywebpush": ["feedback_push/webpush/gateway.py"],
    "pycurl": ["feedback_push/webpush/transport.py", "feedback_push/http_client.py"],
}


class Import(NamedTuple):
    """One imported module and the line that imports it."""

    module: str
    line: int


def sources(root: Path) -> list[Path]:
    return sorted([*(root / PACKAGE).rglob("*.py"), *root.glob("*.py")])


def imports(path: Path, root: Path) -> Iterator[Import]:
    """Return every import of a file, also inside its functions."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = ".".join([*_parents(path, root, node.level), *filter(None, [node.module])])
            yield from (Import(f"{origin}.{alias.name}", node.lineno) for alias in node.names)


def _parents(path: Path, root: Path, level: int) -> list[str]:
    return list(path.relative_to(root).parts[:-level]) if level else []


def layer_of_file(path: Path, root: Path) -> str:
    first, *rest = path.relative_to(root).with_suffix("").parts
    if first != PACKAGE:
        return first
    return "create_app" if rest == ["__init__"] else rest[0]


def layer_of_import(module: str) -> str | None:
    """Return the layer of one of our modules; None for any other module."""
    first, *rest = module.split(".")
    if first != PACKAGE:
        return first if first in RANKS else None
    return rest[0] if rest and rest[0] in RANKS else "create_app"


def offences(root: Path) -> list[str]:
    found = []
    for path in sources(root):
        own = layer_of_file(path, root)
        for module, line in imports(path, root):
            other = layer_of_import(module)
            if other and RANKS[other] > RANKS.get(own, -1):
                found.append(f"{path.relative_to(root)}:{line} imports {module}: {own} stands left of {other}")
            door = ONE_DOOR.get(module.split(".")[0], [])
            if door and str(path.relative_to(root)) not in door:
                found.append(f"{path.relative_to(root)}:{line} imports {module}: only {' and '.join(door)} may")
    return found


def test_every_module_has_a_layer() -> None:
    assert {layer_of_file(path, CHECKOUT) for path in sources(CHECKOUT)} - RANKS.keys() == set()


def test_the_architecture_page_lists_the_same_layers() -> None:
    section = (CHECKOUT / "docs" / "architecture.md").read_text().partition("## Import order\n\n`")[2]
    order, _, rest = section.partition("`\n\nCore is ")
    core = set(re.findall(r"`(\w+)`", rest.partition("\n\n")[0]))
    assert [core if layer == "core" else set(layer.split(", ")) for layer in order.split(" < ")] == LAYERS


def test_a_module_imports_only_from_its_left() -> None:
    assert offences(CHECKOUT) == []


@pytest.mark.parametrize(
    ("file", "line", "named"),
    [
        (
            "config.py",
            "from feedback_push import database",
            "imports feedback_push.database: config stands left of database",
        ),
        ("push/outbox.py", "from feedback_push.feedback.models import Message", "push stands left of feedback"),
        ("push/outbox.py", "from ..feedback import inbox", "imports feedback_push.feedback.inbox"),
        ("auth/views.py", "def view():\n    import feedback_push.admin.labels", "auth/views.py:2 imports"),
        ("security.py", "from feedback_push import create_app", "imports feedback_push.create_app"),
        ("feedback/views.py", "import celery_worker", "feedback stands left of celery_worker"),
        ("cli.py", "from feedback_push.standalone import broker", "cli stands left of standalone"),
        (
            "push/sender.py",
            "import pycurl",
            "only feedback_push/webpush/transport.py and feedback_push/http_client.py may",
        ),
        ("health.py", "from pywebpush import webpush", "only feedback_push/webpush/gateway.py may"),
    ],
)
def test_an_offence_is_named_by_its_line(tmp_path: Path, file: str, line: str, named: str) -> None:
    path = tmp_path / PACKAGE / file
    path.parent.mkdir(parents=True)
    path.write_text(f"{line}\n")
    [offence] = offences(tmp_path)
    assert named in offence
    assert f"feedback_push/{file}:" in offence


def test_webpush_imports_nothing_of_ours_but_itself() -> None:
    imported = {one.module for path in (CHECKOUT / PACKAGE / "webpush").glob("*.py") for one in imports(path, CHECKOUT)}
    assert [module for module in imported if module.split(".")[:2] == [PACKAGE, "webpush"]]
    assert [
        module for module in imported if module.split(".")[0] == PACKAGE and module.split(".")[1] != "webpush"
    ] == []
    assert not {"flask", "sqlalchemy"} & {module.split(".")[0] for module in imported}
