"""Read the program's texts and their translations; run as a program, update the catalogues."""

import io
import tomllib
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from feedback_push.language import LANGUAGES
from tests.servers import CHECKOUT

CATALOGUES = CHECKOUT / "feedback_push" / "translations"
TRANSLATED = [language for language in LANGUAGES if language != "en"]
KEYWORDS = {
    **DEFAULT_KEYWORDS,
    "_l": None,
    "lazy_gettext": None,
    "lazy_ngettext": (1, 2),
    "lazy_pgettext": ((1, "c"), 2),
}


def source_texts() -> Catalog:
    """Return all texts that the program marks for translation."""
    mappings = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in mappings]
    catalogue = Catalog()
    for root in ("feedback_push", "templates"):
        inside = [(pattern.removeprefix(f"{root}/"), method) for pattern, method in methods if pattern.startswith(root)]
        for _file, _line, text, comments, context in extract_from_dir(
            CHECKOUT / root, inside, keywords=KEYWORDS, comment_tags=("Translators:",)
        ):
            catalogue.add(text, auto_comments=comments, context=context)
    return catalogue


def catalogue_of(language: str) -> Catalog:
    """Return the catalogue of a language."""
    path = file_of(language)
    if not path.exists():
        return Catalog(locale=language)
    with path.open("rb") as file:
        return read_po(file, locale=language)


def file_of(language: str) -> Path:
    """Return the path of a language's catalogue."""
    return CATALOGUES / language / "LC_MESSAGES" / "messages.po"


def compiled(catalogue: Catalog) -> bytes:
    """Return the catalogue in the compiled form that the program reads."""
    buffer = io.BytesIO()
    write_mo(buffer, catalogue)
    return buffer.getvalue()


def texts_of(catalogue: Catalog) -> Iterator[Message]:
    """Return the catalogue's entries, without its header."""
    return (message for message in catalogue if message.id)


def bring_up_to_date() -> None:
    """Add new texts to every catalogue, remove texts that are gone, and compile the catalogues."""
    source = source_texts()
    for language in TRANSLATED:
        catalogue, file = catalogue_of(language), file_of(language)
        catalogue.update(source, no_fuzzy_matching=True, update_creation_date=False)
        catalogue.obsolete.clear()
        catalogue.project, catalogue.version = "feedback-push", ""
        catalogue.header_comment, catalogue.fuzzy = "# The texts of Feedback Push.", False
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("wb") as written:
            write_po(written, catalogue, sort_output=True, no_location=True, omit_header=False, width=100)
        file.with_suffix(".mo").write_bytes(compiled(catalogue))
        missing = sum(not all(_parts(message)) for message in texts_of(catalogue))
        print(f"{file.relative_to(CHECKOUT)}: {missing} texts have no translation yet")  # noqa: T201


def _parts(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple) else [str(message.string or "")]


if __name__ == "__main__":
    bring_up_to_date()
