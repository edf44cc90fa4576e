"""feedback_push/translations: every text in every language, and no text that cannot be translated."""

import ast
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages.catalog import Message
from jinja2 import Environment

from tests.servers import CHECKOUT
from tests.translations import KEYWORDS, TRANSLATED, catalogue_of, compiled, file_of, source_texts, texts_of

TEMPLATES = sorted((CHECKOUT / "templates").rglob("*.html"))
SPOKEN = {"alt", "aria-label", "aria-description", "placeholder", "title"}  # attributes that people read or hear
UNCHANGED = {"Feedback Push", "CSV", "XLSX", "JSON"}
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")
_WORD = re.compile(r"[^\W\d_]{2,}")


def key_of(message: Message) -> tuple[object, object]:
    return message.id, message.context


def translations_of(message: Message) -> list[str]:
    return list(message.string) if isinstance(message.string, tuple) else [str(message.string or "")]


@pytest.mark.parametrize("language", TRANSLATED)
def test_no_text_is_without_its_translation(language: str) -> None:
    wanted = {key_of(message) for message in texts_of(source_texts())}
    assert len(wanted) > 50
    written = {key_of(message): message for message in texts_of(catalogue_of(language))}
    assert wanted - written.keys() == set(), "make translations gathers them"
    assert written.keys() - wanted == set(), "make translations removes what is gone"
    assert [key for key, message in written.items() if message.fuzzy or not all(translations_of(message))] == []


@pytest.mark.parametrize("language", TRANSLATED)
def test_a_translation_has_the_placeholders_of_its_text(language: str) -> None:
    for message in texts_of(catalogue_of(language)):
        known = set(_PLACEHOLDER.findall(" ".join(message.id) if isinstance(message.id, tuple) else str(message.id)))
        for text in translations_of(message):
            used = set(_PLACEHOLDER.findall(text))
            # A plural form may spell out "one".
            assert used == known or (isinstance(message.id, tuple) and used <= known), message.id


@pytest.mark.parametrize("language", TRANSLATED)
def test_compiled_catalogues_match_their_sources(language: str) -> None:
    assert file_of(language).with_suffix(".mo").read_bytes() == compiled(catalogue_of(language)), "make translations"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(CHECKOUT / "templates")))
def test_a_template_has_no_words_that_are_not_marked_for_translation(template: Path) -> None:
    assert sorted(words_in(template.read_text()) - UNCHANGED) == []


def test_words_that_are_not_marked_are_found() -> None:
    assert words_in("<p>Hello {{ name }}</p>") == {"Hello"}
    assert words_in('<img alt="A bell"><input title="{{ _("x") }}">') == {"A bell"}
    assert words_in('{% trans %}Hello{% endtrans %}<p>{{ _("Hello") }} · <code>make run</code></p>') == set()


def test_no_text_is_in_an_f_string_where_babel_does_not_find_it() -> None:
    code = [path.read_text() for path in (CHECKOUT / "feedback_push").rglob("*.py")]
    assert [text for each in code for text in texts_in_f_strings(each)] == []
    assert texts_in_f_strings("f'{_(\"Hello\")} {str(flask_babel.gettext(\"world\"))}' + _('!')") == ["Hello", "world"]


def texts_in_f_strings(code: str) -> list[object]:
    """Return the texts that a Python file marks for translation inside f-strings."""
    inside = [
        node
        for literal in ast.walk(ast.parse(code))
        if isinstance(literal, ast.JoinedStr)
        for node in ast.walk(literal)
    ]
    return [
        call.args[0].value
        for call in inside
        if isinstance(call, ast.Call) and call.args and isinstance(call.args[0], ast.Constant)
        if getattr(call.func, "attr", getattr(call.func, "id", None)) in KEYWORDS
    ]


def words_in(source: str) -> set[str]:
    """Return the literal words of a template."""
    parser = _Words()
    parser.feed("".join(_outside_of_jinja(source)))
    parser.close()
    return parser.found


def _outside_of_jinja(source: str) -> Iterator[str]:
    translated = False
    source = re.sub(r"{% block body_class %}.*?{% endblock %}", "", source)  # names of classes, not words
    for _line, kind, value in Environment(extensions=["jinja2.ext.i18n"], autoescape=True).lex(source):
        if kind == "name" and value in ("trans", "endtrans"):
            translated = value == "trans"
        if kind == "data" and not translated:
            yield value
        elif kind in ("variable_begin", "block_begin"):
            yield " "


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("code", "svg", "script", "style"):
            self._inside.append(tag)
        for name, value in attrs:
            if name in SPOKEN and value and _WORD.search(value):
                self.found.add(value.strip())

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside and _WORD.search(data):
            self.found.add(" ".join(data.split()))
