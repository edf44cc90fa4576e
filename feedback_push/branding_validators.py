"""What the settings of the site's face must look like: its name, logo, accent colour and texts."""

import re
from pathlib import Path

from environs import ValidationError

LARGEST_LOGO = 200_000  # bytes
_LONGEST_NAME = 60
_LONGEST_TEXT = 1000
_SVG = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.DOTALL)


def site_name(value: str) -> str:
    """One short line."""
    value = value.strip()
    if not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValidationError(f"not a name of 1 to {_LONGEST_NAME} characters in one line.")
    return value


def site_logo(value: str) -> str:
    """The path of a small picture, or nothing for our own."""
    if not value:
        return ""
    path = Path(value).absolute()
    try:
        picture = path.read_bytes() if path.stat().st_size <= LARGEST_LOGO else b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ValidationError(f"the file cannot be read ({reason}).") from None
    if not picture_type(picture):
        raise ValidationError(f"not the path of an SVG, PNG, JPEG or WebP file of at most {LARGEST_LOGO // 1000} kB.")
    return str(path)


def site_accent(value: str) -> str:
    """A colour in the one spelling that a stylesheet and our own arithmetic share."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise ValidationError("not a colour like #0b6b57.")
    return value.lower()


def form_text(value: str) -> str:
    """A text for visitors, or nothing for our own, which is translated."""
    value = value.strip()
    if len(value) > _LONGEST_TEXT or not value.replace("\n", "").isprintable():
        raise ValidationError(f"not a text of at most {_LONGEST_TEXT} characters.")
    return value


def picture_type(content: bytes) -> str:
    """The media type of a picture by its first bytes; nothing where it is of no kind that we take."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if _SVG.match(content.removeprefix(b"\xef\xbb\xbf")) else ""
