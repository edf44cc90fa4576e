"""Compute shades of any accent colour that are readable in the light and the dark colour scheme."""

import colorsys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

# The backgrounds of the accent in site.css: page, card and form field, in light and dark.
_LIGHT = ("#f4f7f6", "#ffffff")
_DARK = ("#0e1413", "#161e1c", "#111816")
# The muted text of site.css, which also stands on the tint.
_LIGHT_MUTED = "#566562"
_DARK_MUTED = "#95a49f"
# Contrast ratios. WCAG 2.2 requires 4.5 for text (1.4.3) and 3 for shapes (1.4.11). More is easier to read on dark.
_LIGHT_TEXT = 4.5
_DARK_TEXT = 7.0
_SHAPE = 3.0
_STEP = 1 / 256  # of the way from black to white


@dataclass(frozen=True)
class Shades:
    """The shades of the accent for one colour scheme, as #rrggbb.

    `button_text` is readable on both button colours. The page's muted text is readable on `tint`.
    """

    text: str
    hover_text: str
    button: str
    hover_button: str
    button_text: str
    tint: str


@lru_cache(maxsize=4)
def light(accent: str) -> Shades:
    """Return the shades for a light page."""
    return _shades(accent, _LIGHT, _LIGHT_TEXT, _tint(accent, _LIGHT[1], _LIGHT_MUTED, share=0.12))


@lru_cache(maxsize=4)
def dark(accent: str) -> Shades:
    """Return the shades for a dark page."""
    return _shades(accent, _DARK, _DARK_TEXT, _tint(accent, _DARK[1], _DARK_MUTED, share=0.2))


def contrast(one: str, other: str) -> float:
    """Return the WCAG contrast ratio of two colours, from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _shades(accent: str, backgrounds: Sequence[str], text_ratio: float, tint: str) -> Shades:
    away = -1 if _luminance(backgrounds[0]) > 0.5 else 1
    text = _readable(accent, away, (*backgrounds, tint), text_ratio)
    button = _readable(accent, away, backgrounds, _SHAPE)
    # Black or white always reaches 4.58, because the contrast between them is 21.
    button_text = max("#ffffff", "#000000", key=lambda colour: contrast(colour, button))
    return Shades(
        text=text,
        hover_text=_moved(text, 20 * away),
        button=button,
        hover_button=_moved(button, -16 if button_text == "#ffffff" else 16),
        button_text=button_text,
        tint=tint,
    )


def _tint(accent: str, ground: str, muted: str, share: float) -> str:
    """Mix a share of the accent into the card's background, or less where muted text would be hard to read on it."""
    tints = (_mixed(accent, ground, share * part / 20) for part in range(20, -1, -1))
    return next(tint for tint in tints if contrast(muted, tint) >= _LIGHT_TEXT)


def _readable(colour: str, away: int, backgrounds: Sequence[str], ratio: float) -> str:
    """Darken (-1) or lighten (1) the colour until it has this contrast to all of the backgrounds."""
    shades = (_moved(colour, away * steps) for steps in range(round(1 / _STEP) + 1))
    return next(shade for shade in shades if min(contrast(shade, ground) for ground in backgrounds) >= ratio)


def _moved(colour: str, steps: int) -> str:
    """Return the same hue, lighter or darker."""
    if not steps:
        return colour
    hue, lightness, saturation = colorsys.rgb_to_hls(*_channels(colour))
    return _hex(colorsys.hls_to_rgb(hue, min(1.0, max(0.0, lightness + steps * _STEP)), saturation))


def _mixed(colour: str, ground: str, share: float) -> str:
    pairs = zip(_channels(colour), _channels(ground), strict=True)
    return _hex(share * over + (1 - share) * under for over, under in pairs)


def _luminance(colour: str) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _channels(colour: str) -> Iterator[float]:
    return (part / 255 for part in bytes.fromhex(colour[1:]))


def _hex(channels: Iterable[float]) -> str:
    return "#" + bytes(round(255 * channel) for channel in channels).hex()
