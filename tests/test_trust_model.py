"""SECURITY.md: whatever it promises is held by a test that there is."""

import ast
import re

from tests.servers import CHECKOUT

MODEL = re.search(r"^## Trust model\n(.*?)^## ", (CHECKOUT / "SECURITY.md").read_text(), re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
PEOPLE = [
    "A visitor",
    "An administrator",
    "The operator",
    "A push service",
    "Somebody on the network",
    "Somebody with a stolen backup",
]


def model() -> str:
    assert MODEL
    return MODEL[1]


def defined_in(file: str) -> set[str]:
    path = CHECKOUT / file
    tree = ast.parse(path.read_text() if path.exists() else "")
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_every_test_that_it_names_exists() -> None:
    named = NAMED.findall(model())
    assert len(named) > 50
    assert [f"{file}::{name}" for file, name in named if name not in defined_in(file)] == []


def test_it_speaks_of_everybody_and_no_line_is_without_a_test() -> None:
    assert re.findall(r"^### (.*)", model(), re.MULTILINE) == PEOPLE
    lines = [
        line for line in model().splitlines() if line.startswith("|") and line not in ("| by | test |", "|---|---|")
    ]
    assert [line for line in lines if not NAMED.search(line)] == []
