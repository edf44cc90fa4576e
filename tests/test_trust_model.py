"""SECURITY.md and docs/security-asvs.md: every claim names an existing test."""

import ast
import re

from tests.servers import CHECKOUT

MODEL = re.search(r"^## Trust model\n(.*?)^## ", (CHECKOUT / "SECURITY.md").read_text(), re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
VERIFICATION = (CHECKOUT / "docs" / "security-asvs.md").read_text()
# How many requirements of ASVS 5.0.0 each section has up to level 2; within a section they come first.
REQUIREMENTS = {
    "1.1": 2, "1.2": 9, "1.3": 11, "1.4": 3, "1.5": 2, "2.1": 3, "2.2": 3, "2.3": 4, "2.4": 1, "3.2": 2, "3.3": 4,
    "3.4": 6, "3.5": 5, "3.7": 2, "4.1": 3, "4.2": 1, "4.3": 2, "4.4": 4, "5.1": 1, "5.2": 3, "5.3": 2, "5.4": 3,
    "6.1": 3, "6.2": 12, "6.3": 4, "6.4": 4, "6.5": 5, "6.6": 3, "6.8": 4, "7.1": 3, "7.2": 4, "7.3": 2, "7.4": 5,
    "7.5": 2, "7.6": 2, "8.1": 2, "8.2": 3, "8.3": 1, "8.4": 1, "9.1": 3, "9.2": 4, "11.1": 2, "11.2": 3, "11.3": 3,
    "11.4": 4, "11.5": 1, "11.6": 1, "12.1": 3, "12.2": 2, "12.3": 4, "13.1": 1, "13.2": 5, "13.3": 2, "13.4": 5,
    "14.1": 2, "14.2": 4, "14.3": 3, "15.1": 3, "15.2": 3, "15.3": 7, "16.1": 1, "16.2": 5, "16.3": 4, "16.4": 3,
    "16.5": 3,
}  # fmt: skip
ROW = re.compile(
    r"^\| (?P<numbers>[\d., -]+) \| (?P<words>[^|]+) \| (?P<state>[^|]+) \| (?P<why>[^|]+) \|$", re.MULTILINE
)
PEOPLE = [
    "A visitor",
    "A visitor with a device",
    "A follower",
    "An administrator",
    "A program with a key",
    "The operator",
    "A push service",
    "A feed",
    "A receiver of webhooks",
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
    named = NAMED.findall(model() + VERIFICATION)
    assert len(named) > 200
    assert [f"{file}::{name}" for file, name in named if name not in defined_in(file)] == []


def test_every_attacker_is_covered_and_every_row_names_a_test() -> None:
    assert re.findall(r"^### (.*)", model(), re.MULTILINE) == PEOPLE
    lines = [
        line for line in model().splitlines() if line.startswith("|") and line not in ("| by | test |", "|---|---|")
    ]
    assert [line for line in lines if not NAMED.search(line)] == []


def numbers(text: str) -> list[str]:
    """Return the requirements of a row: one, several separated by commas, or a range."""
    found = []
    for part in text.split(", "):
        first, _, last = part.partition("-")
        section, _, number = first.rpartition(".")
        found += [f"{section}.{each}" for each in range(int(number), int((last or first).rpartition(".")[2]) + 1)]
    return found


def test_the_verification_standard_is_answered_requirement_by_requirement() -> None:
    rows = list(ROW.finditer(VERIFICATION))
    asked = [f"{section}.{number}" for section, count in REQUIREMENTS.items() for number in range(1, count + 1)]
    assert sorted(number for row in rows for number in numbers(row["numbers"])) == sorted(asked)
    assert {row["state"] for row in rows} == {"met", "not applicable", "not met"}
    assert [row["numbers"] for row in rows if row["state"] == "met" and not evidence(row["why"])] == []


def evidence(why: str) -> list[str]:
    documents = [file for file in re.findall(r"\]\(([^)#]+)", why) if (CHECKOUT / "docs" / file).exists()]
    return [*NAMED.findall(why), *documents, *re.findall(r"\]\(#keys-and-algorithms\)", why)]
