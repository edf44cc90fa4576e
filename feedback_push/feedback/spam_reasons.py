"""The reasons to set a message aside without a notification, with the texts that administrators read."""

from enum import StrEnum

from flask_babel import lazy_gettext


class SpamReason(StrEnum):
    """The reason why the form's traps caught a message."""

    HONEYPOT = "honeypot"
    AUTOFILL = "autofill"
    TOO_FAST = "too-fast"
    NO_PROOF = "no-proof"
    REPLAYED_PROOF = "replayed-proof"


def label(reason: str | None) -> str:
    """Return the text for a stored reason, or an empty text if there is no reason or it is no longer known."""
    return str(LABELS.get(SpamReason(reason), "")) if reason in set(SpamReason) else ""


# A person who pastes a text, has no JavaScript, or uses a password manager can cause these too, and can confirm the
# message.
CONFIRMABLE = (SpamReason.AUTOFILL, SpamReason.TOO_FAST, SpamReason.NO_PROOF, SpamReason.REPLAYED_PROOF)
PROVEN = (None, SpamReason.AUTOFILL)  # the browser has sent a valid proof of work

LABELS = {
    SpamReason.HONEYPOT: lazy_gettext("A hidden field was filled in, as programs do."),
    SpamReason.AUTOFILL: lazy_gettext(
        "A hidden field was filled in, as some password managers do, and nobody confirmed the message."
    ),
    SpamReason.TOO_FAST: lazy_gettext("It was sent faster than a person can type, and nobody confirmed it."),
    SpamReason.NO_PROOF: lazy_gettext("It was sent without JavaScript, as programs do, and nobody confirmed it."),
    SpamReason.REPLAYED_PROOF: lazy_gettext(
        "It was a copy, sent right after another message, and nobody confirmed it."
    ),
}
