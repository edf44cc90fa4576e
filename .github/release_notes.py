"""Print the notes of a release: `python .github/release_notes.py v0.3.0` prints that version's part of CHANGELOG.md."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class ReleaseError(SystemExit):
    """The tag cannot be released; the text gives the reason."""


def main() -> None:
    """Print the notes for the tag that the first argument names."""
    tag = sys.argv[1]
    version = re.search(r'^VERSION = "(.+)"$', (ROOT / "feedback_push/installation.py").read_text(), re.MULTILINE)
    if not version or tag != f"v{version[1]}":
        raise ReleaseError(f"The tag {tag} is not the version of the package, {version and version[1]}.")
    print(notes((ROOT / "CHANGELOG.md").read_text(), version[1]))  # noqa: T201


def notes(changelog: str, version: str) -> str:
    """Return the text below the heading of a version. Raise ReleaseError if there is none with a date."""
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n(.*?)(?=^## |\Z)"
    found = re.search(heading, changelog, re.MULTILINE | re.DOTALL)
    if not found or not found[1].strip():
        raise ReleaseError(f"CHANGELOG.md has no part for {version} with a date.")
    return found[1].strip()


if __name__ == "__main__":
    main()
