"""The texts of a form in the reader's language: its owner's words, then the settings, then the built-in texts."""

from collections.abc import Iterable, Mapping

from flask_babel import gettext
from flask_babel import lazy_gettext as _l

from feedback_push import language
from feedback_push.config import current_settings
from feedback_push.feedback.form_models import Form

TITLE, INTRO, BUTTON, THANKS = SLOTS = ("title", "intro", "button", "thanks")
_SETTINGS = {TITLE: "form_title", INTRO: "form_intro", THANKS: "form_thanks"}
_BUILT_IN = {
    TITLE: _l("Tell us what you think"),
    INTRO: _l("What works, what doesn\u2019t, what is missing? A person reads every message."),
    BUTTON: _l("Send message"),
    THANKS: _l(
        "Your message has arrived, and a person will read it. If you left an e-mail address, we will answer there."
    ),
}
_THUMBS = {"up": _l("Thumbs up"), "down": _l("Thumbs down")}
_SYMBOLS = {"up": "👍", "down": "👎"}


def text(form: Form, slot: str) -> str:
    """Return the title, the intro, the button or the thanks of a form."""
    own = label({code: texts.get(slot, "") for code, texts in form.words.items()})
    setting = getattr(current_settings(), _SETTINGS[slot]) if slot in _SETTINGS else ""
    return own or setting or str(_BUILT_IN[slot])


def label(labels: Mapping[str, str]) -> str:
    """Return the label in the reader's language; if the owner has not written one, in another language."""
    return labels.get(language.current(), "") or stored(labels)


def stored(labels: Mapping[str, str]) -> str:
    """Return the label that a message stores, whatever the reader's language: the first that is not empty."""
    return next((labels[code] for code in language.LANGUAGES if labels.get(code)), "")


def answers_text(answers: Iterable[Mapping[str, str]]) -> str:
    """Return the answers to a form's questions as one text."""
    return "\n\n".join(f"{each['question']}\n{each['answer']}" for each in answers)


def rating(value: str) -> str:
    """Return a rating as a text."""
    if value in _THUMBS:
        return str(_THUMBS[value])
    return str(gettext("%(rating)s of 5", rating=value))


def symbols(value: str) -> str:
    """Return a rating as stars or as a thumb."""
    return _SYMBOLS.get(value) or "★" * int(value) + "☆" * (5 - int(value))


def symbol(value: str) -> str:
    """Return the symbol of one choice of a rating: each star stands for itself."""
    return _SYMBOLS.get(value, "★")
