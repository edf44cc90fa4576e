"""Tell the version, and an installed package from a checkout: where the files are, and the command to type."""

from pathlib import Path

VERSION = "0.2.0"
_PACKAGE = Path(__file__).resolve().parent
# In a checkout templates/ and static/ are beside the package; in an installed wheel they are inside it.
INSTALLED = (_PACKAGE / "templates").is_dir()
ROOT = _PACKAGE if INSTALLED else _PACKAGE.parent
COMMAND = "feedback-push" if INSTALLED else "flask --app wsgi"
