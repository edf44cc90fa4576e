"""Validate the branding settings: the site's name, logo, accent colour and texts."""

import re
from pathlib import Path

from environs import ValidationError

LARGEST_LOGO = 200_000  # bytes
_LONGEST_NAME = 60
_LONGEST_TEXT = 1000
_SVG = re.compile(rb"\s*(<\?xml[^>]*>\s*)?(<!--.*?-->\s*|<!DOCTYPE[^>\[]*>\s*)*<svg[\s>]", re.DOTALL)


def site_name(value: str) -> str:
    """Return the name, which must be one line of 1 to 60 characters."""
    value = value.strip()
    if not value or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValidationError(f"must be a name of 1 to {_LONGEST_NAME} characters on one line.")
    return value


def site_logo(value: str) -> str:
    """Return the absolute path of a small picture, or an empty string for the built-in logo."""
    if not value:
        return ""
    path = Path(value).absolute()
    try:
        picture = path.read_bytes() if path.stat().st_size <= LARGEST_LOGO else b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise ValidationError(f"the file cannot be read ({reason}).") from None
    if not picture_type(picture):
        raise ValidationError(
            f"must be the path of an SVG, PNG, JPEG or WebP file of at most {LARGEST_LOGO // 1000} kB."
        )
    return str(path)


def site_accent(value: str) -> str:
    """Return the colour as #rrggbb in lower case, the form that stylesheets and `accent` both read."""
    if not re.fullmatch("#[0-9a-fA-F]{6}", value):
        raise ValidationError("must be a colour such as #0b6b57.")
    return value.lower()


def form_text(value: str) -> str:
    """Return a text for visitors, or an empty string for the built-in text, which is translated."""
    value = value.strip()
    if len(value) > _LONGEST_TEXT or not value.replace("\n", "").isprintable():
        raise ValidationError(f"must be a text of at most {_LONGEST_TEXT} characters.")
    return value


def picture_type(content: bytes) -> str:
    """Return the media type of a picture by its first bytes, or an empty string if the type is not supported."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if content.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    return "image/svg+xml" if _SVG.match(content.removeprefix(b"\xef\xbb\xbf")) else ""
