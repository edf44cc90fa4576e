"""Find the lines in the documentation that run a command of ours."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.servers import CHECKOUT

PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SHELLS = {"", "sh", "shell", "bash", "console"}
_INLINE = re.compile(r"`((?:feedback-push|make|flask --app|celery -A|python3? -m feedback_push)[^`\n]*)`")
_PREFIXES = [
    re.compile(pattern)
    for pattern in (
        r"(?:[\d*/,-]+ ){5}",  # the time in a line for cron
        r"[A-Z_]+=\S* ",
        r"sudo -u \S+ ",
        r"uvx (?=feedback-push)",
        r"pipx run ",
        r"docker exec \S+ ",
        r"docker compose run --rm \S+ ",
        r"\S*/bin/(?=feedback-push|flask|celery|python)",
    )
]
_OURS = re.compile(r"(?:feedback-push|make|flask|celery|python3? -m feedback_push\S*)(?: |$)")


class Line(NamedTuple):
    """One command, without the words before it; `where` is the name of its page."""

    where: str
    words: tuple[str, ...]


def lines() -> list[Line]:
    """Return every command of ours, each once."""
    return list(dict.fromkeys(line for page in PAGES for line in _of(page)))


def _of(page: Path) -> Iterator[Line]:
    text = page.read_text()
    shell = "\n".join(block for language, block in _BLOCK.findall(text) if language in _SHELLS).replace("\\\n", " ")
    prose = _BLOCK.sub("", text)
    for typed in (*shell.splitlines(), *_INLINE.findall(prose)):
        for command in re.split(r"&&|\|\||[|;]", re.sub(r"(^|\s)#.*", "", typed)):
            bare = _without_prefixes(re.sub(r"\s\d?[<>].*", "", command).strip())
            if _OURS.match(bare):
                yield Line(page.name, tuple(shlex.split(bare)))


def _without_prefixes(command: str) -> str:
    previous = None
    while command != previous:
        previous = command
        for prefix in _PREFIXES:
            command = prefix.sub("", command, count=1) if prefix.match(command) else command
    return command
