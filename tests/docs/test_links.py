"""Every link between the pages leads to a file, and to a heading that is there."""

import re
from functools import cache
from pathlib import Path

from tests.docs.command_lines import PAGES
from tests.servers import CHECKOUT

_CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


@cache
def headings(page: Path) -> set[str]:
    """Return the fragments of a page's headings, as the forge and the site's generator make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in _HEADING.findall(text)}


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [*PAGES, *(CHECKOUT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"))]
    links = [(page, link) for page in pages for link in _LINK.findall(_CODE.sub("", page.read_text()))]
    wrong = []
    for page, link in links:
        path, _, heading = link.partition("#")
        target = page.parent / path if path else page
        if "://" in link or link.startswith("mailto:"):
            continue
        if not target.exists() or (heading and heading not in headings(target)):
            wrong.append(f"{page.name}: {link}")
    assert wrong == []
    assert len(links) > 100
