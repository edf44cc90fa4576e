"""accent.py: every colour gives readable text and visible buttons."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feedback_push import accent
from feedback_push.accent import Shades, contrast

# As site.css has them: page, card, form field.
LIGHT = ["#f4f7f6", "#ffffff"]
DARK = ["#0e1413", "#161e1c", "#111816"]
MUTED = {"light": "#566562", "dark": "#95a49f"}
COLOURS = st.integers(0, 0xFFFFFF).map("#{:06x}".format)


def worst(colour: str, grounds: list[str]) -> float:
    return min(contrast(colour, ground) for ground in grounds)


@pytest.mark.parametrize(
    ("one", "other", "ratio"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#777777", "#ffffff", 4.48),
        ("#0b6b57", "#ffffff", 6.45),
        ("#ff0000", "#0000ff", 2.15),
    ],
)
def test_contrast_is_as_wcag_defines_it(one: str, other: str, ratio: float) -> None:
    assert contrast(one, other) == contrast(other, one)
    assert round(contrast(one, other), 2) == ratio


@given(COLOURS)
@example("#000000")
@example("#ffffff")
@example("#ffff00")
@example("#0000ff")
@example("#010000")
@settings(max_examples=300)
def test_every_colour_is_readable_in_light_and_dark(colour: str) -> None:
    for shades, grounds in ((accent.light(colour), LIGHT), (accent.dark(colour), DARK)):
        for words in (shades.text, shades.hover_text):
            assert worst(words, [*grounds, shades.tint]) >= 4.5
        assert worst(shades.button, grounds) >= 3
        assert contrast(MUTED["light" if grounds is LIGHT else "dark"], shades.tint) >= 4.5
        for button in (shades.button, shades.hover_button):
            assert contrast(shades.button_text, button) >= 4.5


def test_a_colour_that_is_readable_stays_as_it_is() -> None:
    shades = accent.light("#0b6b57")
    assert (shades.text, shades.button, shades.button_text) == ("#0b6b57", "#0b6b57", "#ffffff")


def test_a_colour_keeps_its_hue() -> None:
    def hues(shades: Shades) -> list[str]:
        # Which channel is the strongest, and which the weakest.
        return [
            "".join(sorted("rgb", key=lambda c: colour[1 + 2 * "rgb".index(c) :][:2]))
            for colour in (shades.text, shades.button)
        ]

    assert hues(accent.light("#ffd54f")) == hues(accent.dark("#7a5200")) == ["bgr", "bgr"]
