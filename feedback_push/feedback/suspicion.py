"""Why a message was set aside instead of being told of; each reason in the words that administrators read."""

from enum import StrEnum

from flask_babel import lazy_gettext


class Suspicion(StrEnum):
    """What the form's traps caught."""

    HONEYPOT = "honeypot"
    AUTOFILL = "autofill"
    TOO_FAST = "too-fast"
    NO_PROOF = "no-proof"
    REPLAYED_PROOF = "replayed-proof"


def label(reason: str | None) -> str:
    """A reason that was stored, in words; nothing for none, or for one that is no longer known."""
    return str(WORDS.get(Suspicion(reason), "")) if reason in set(Suspicion) else ""


# What a browser without JavaScript, or one with a password manager, may come to as well: its owner can confirm.
CONFIRMABLE = (Suspicion.AUTOFILL, Suspicion.NO_PROOF, Suspicion.REPLAYED_PROOF)
PROVEN = (None, Suspicion.AUTOFILL)  # a browser has worked for these

WORDS = {
    Suspicion.HONEYPOT: lazy_gettext("It filled in a field that people do not see."),
    Suspicion.AUTOFILL: lazy_gettext(
        "It filled in a field that people do not see, as some password managers do, and nobody confirmed it."
    ),
    Suspicion.TOO_FAST: lazy_gettext("It was sent faster than a person can type."),
    Suspicion.NO_PROOF: lazy_gettext("It came without JavaScript, as programs send it, and nobody confirmed it."),
    Suspicion.REPLAYED_PROOF: lazy_gettext("It was a copy sent right after another message, and nobody confirmed it."),
}
