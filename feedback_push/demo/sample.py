"""A message of the demonstration, as the lists of each language have it."""

from typing import NamedTuple

from feedback_push.feedback.models import MessageState
from feedback_push.feedback.spam_reasons import SpamReason

PRAISE, IDEA, PROBLEM, QUESTION = "praise", "idea", "problem", "question"
NEW, READ, ANSWERED, ARCHIVED, SPAM = MessageState
TOO_FAST, NO_PROOF, HONEYPOT = SpamReason.TOO_FAST, SpamReason.NO_PROOF, SpamReason.HONEYPOT


class Sample(NamedTuple):
    """A message; with a category it is of the demonstration's form, otherwise of the main form.

    `replies` begins with an answer, and then alternates between the visitor and the administrator. Names are given
    names, and addresses are at example.org or example.com, which belong to nobody.
    """

    content: str
    category: str = ""
    rating: str = ""
    state: MessageState = READ
    name: str = ""
    email: str = ""
    tags: tuple[str, ...] = ()
    page: str = ""  # of example.org
    replies: tuple[str, ...] = ()
    spam_reason: SpamReason | None = None
