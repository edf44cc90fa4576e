"""The icons of topics: small pictures of types that every browser shows in a notification, and that run no script."""

from flask_babel import gettext

LARGEST = 64 * 1024  # bytes
LARGEST_FORM = LARGEST + 8 * 1024
# The first bytes of each type; in WebP the length of the file stands between the two parts.
SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n", b""),
    "image/jpeg": (b"\xff\xd8\xff", b""),
    "image/webp": (b"RIFF", b"WEBP"),
}
_SECOND_PART = 8  # where it begins


def media_type(content: bytes) -> str | None:
    """Return the media type of a picture by its first bytes, whatever its name says; None if it is none of ours."""
    for name, (first, second) in SIGNATURES.items():
        if content.startswith(first) and (not second or content.startswith(second, _SECOND_PART)):
            return name
    return None


def problem(content: bytes) -> str | None:
    """Return the reason why a file cannot be an icon, or None."""
    if len(content) > LARGEST:
        return str(gettext("The picture has more than %(max)d kB. Please choose a smaller one.", max=LARGEST // 1024))
    if media_type(content) is None:
        return str(gettext("This file is not a PNG, WebP or JPEG picture."))
    return None
