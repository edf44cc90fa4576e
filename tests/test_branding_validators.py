"""branding_validators.py: which names, logos, colours and texts a site may have."""

from pathlib import Path

import pytest
from environs import ValidationError

from feedback_push import branding_validators as rules

PICTURES = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff\xe0",
    "image/webp": b"RIFF\x00\x00\x00\x00WEBPVP8 ",
    "image/svg+xml": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
}
SVG_BEGINNINGS = [
    b"<svg>",
    b"\xef\xbb\xbf<svg\nwidth='1'>",
    b'<?xml version="1.0" encoding="UTF-8"?>\n<svg >',
    b'<?xml version="1.0"?>\n<!-- made by hand -->\n<!DOCTYPE svg PUBLIC "a" "b">\n<!-- x -->\n<svg width="1">',
]
NO_PICTURES = [
    b"",
    b"GIF89a",
    b"<html><svg>",
    b"<svgs>",
    b"RIFF\x00\x00\x00\x00WAVE",
    b"text",
    b"<!DOCTYPE x [<!ENTITY e 'x'>]><svg>",
]


@pytest.mark.parametrize("value", ["Feedback Push", "x" * 60, "Café <Blue> & Söhne", "名前"])
def test_a_name_is_a_short_line(value: str) -> None:
    assert rules.site_name(f" {value} ") == value


@pytest.mark.parametrize("value", ["", "  ", "x" * 61, "two\nlines", "a\tb", "a\x00b"])
def test_anything_else_is_no_name(value: str) -> None:
    with pytest.raises(ValidationError, match="1 to 60 characters"):
        rules.site_name(value)


@pytest.mark.parametrize("value", ["#0b6b57", "#0B6B57"])
def test_a_colour_is_kept_in_lower_case(value: str) -> None:
    assert rules.site_accent(value) == "#0b6b57"


@pytest.mark.parametrize(
    "value", ["", "0b6b57", "#0b6b5", "#0b6b577", "#0b6b5g", "red", "#fff", "#0b6b57;}", "#0b6b57\n"]
)
def test_a_colour_has_one_spelling(value: str) -> None:
    with pytest.raises(ValidationError, match="#0b6b57"):
        rules.site_accent(value)


@pytest.mark.parametrize("value", ["", "One line", "Two\nlines", "x" * 1000, "<b>no markup</b>", "سلام"])
def test_a_text_may_have_lines(value: str) -> None:
    assert rules.form_text(f" {value}\n") == value


@pytest.mark.parametrize("value", ["x" * 1001, "a\x00b", "\x1b[31m"])
def test_a_text_has_an_end_and_no_control_characters(value: str) -> None:
    with pytest.raises(ValidationError, match="at most 1000"):
        rules.form_text(value)


@pytest.mark.parametrize("content", PICTURES.values(), ids=PICTURES)
def test_a_logo_is_a_picture_that_browsers_know(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logo").write_bytes(content + b" " * (rules.LARGEST_LOGO - len(content)))
    assert rules.site_logo("logo") == str(tmp_path / "logo")


def test_without_a_logo_there_is_nothing_to_check() -> None:
    assert rules.site_logo("") == ""


@pytest.mark.parametrize("content", NO_PICTURES)
def test_another_file_is_no_logo(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logo").write_bytes(content)
    with pytest.raises(ValidationError, match="SVG, PNG, JPEG or WebP"):
        rules.site_logo(str(tmp_path / "logo"))


def test_a_large_file_is_no_logo(tmp_path: Path) -> None:
    (tmp_path / "logo").write_bytes(PICTURES["image/png"] + b" " * rules.LARGEST_LOGO)
    with pytest.raises(ValidationError, match="at most 200 kB"):
        rules.site_logo(str(tmp_path / "logo"))


@pytest.mark.parametrize("path", ["missing.svg", ".", "a\0b"])
def test_a_path_that_leads_to_no_file_is_named_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValidationError, match="cannot be read"):
        rules.site_logo(path)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [*((content, kind) for kind, content in PICTURES.items()), *((svg, "image/svg+xml") for svg in SVG_BEGINNINGS)],
)
def test_a_pictures_kind_is_in_its_beginning(content: bytes, media_type: str) -> None:
    assert rules.picture_type(content) == media_type
