"""Copy the pages of the documentation, and the files that they link to, into one folder for `make docs`."""

import re
import shutil

from tests.servers import CHECKOUT

FOLDER = CHECKOUT / "build" / "docs"
_PAGES = ("SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md")
_FILES = ("Dockerfile", "compose.yaml", "Procfile", "LICENSE", ".env.example")
_HOME = re.compile(r"\]\(README\.md(#[^)]*)?\)")


def main() -> None:
    """Write the folder anew."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    shutil.copytree(CHECKOUT / "docs", FOLDER)
    shutil.copytree(CHECKOUT / "deploy", FOLDER / "deploy")
    for name in _FILES:
        shutil.copy(CHECKOUT / name, FOLDER / name)
    for page in FOLDER.glob("*.md"):
        page.write_text(inside(page.read_text()))
    for name in _PAGES:
        (FOLDER / name).write_text(inside((CHECKOUT / name).read_text()))


def inside(text: str) -> str:
    """Return a page whose links lead to files of the one folder instead of the checkout's folders."""
    return _HOME.sub("](index.md)", text.replace("](../", "](").replace("](docs/", "]("))


if __name__ == "__main__":
    main()
