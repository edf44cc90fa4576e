"""The reasons to set a message aside without a notification, with the texts that administrators read."""

from enum import StrEnum

from flask_babel import lazy_gettext


class Suspicion(StrEnum):
    """The reason why the form's traps caught a message."""

    HONEYPOT = "honeypot"
    AUTOFILL = "autofill"
    TOO_FAST = "too-fast"
    NO_PROOF = "no-proof"
    REPLAYED_PROOF = "replayed-proof"


def label(reason: str | None) -> str:
    """Return the text for a stored reason, or an empty text if there is no reason or it is no longer known."""
    return str(WORDS.get(Suspicion(reason), "")) if reason in set(Suspicion) else ""


# A person who pastes a text, has no JavaScript, or uses a password manager can cause these too, and can confirm the
# message.
CONFIRMABLE = (Suspicion.AUTOFILL, Suspicion.TOO_FAST, Suspicion.NO_PROOF, Suspicion.REPLAYED_PROOF)
PROVEN = (None, Suspicion.AUTOFILL)  # the browser has sent a valid proof of work

WORDS = {
    Suspicion.HONEYPOT: lazy_gettext("It filled in a field that people do not see."),
    Suspicion.AUTOFILL: lazy_gettext(
        "It filled in a field that people do not see, as some password managers do, and nobody confirmed it."
    ),
    Suspicion.TOO_FAST: lazy_gettext("It was sent faster than a person can type, and nobody confirmed it."),
    Suspicion.NO_PROOF: lazy_gettext("It came without JavaScript, as programs send it, and nobody confirmed it."),
    Suspicion.REPLAYED_PROOF: lazy_gettext("It was a copy sent right after another message, and nobody confirmed it."),
}
