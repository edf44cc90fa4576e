"""Difficulty: how much work a proof takes, which grows with the load of the network and of the site.

A network's load is the challenges it has asked for, so that nobody can hoard easy ones; the site's load is the proofs
that were accepted, so that nobody can raise it for others without doing the work.
"""

from limits import RateLimitItemPerMinute

from feedback_push.feedback.quotas import Quota

HARDEST = 3  # the work doubles with each level: at this one it is eight times as much
# The work grows beyond an eighth of these: 30 challenges for a connection and 600 messages for the site in 10 minutes.
_CHALLENGES = Quota("challenges", 8 * 30, 0, RateLimitItemPerMinute, 10)
_PROVEN = Quota("proven-messages", 0, 8 * 600, RateLimitItemPerMinute, 10)
_STEPS = (1 / 8, 1 / 4, 1 / 2)


def of_new_challenge() -> int:
    """Count a challenge for the network of this request, and return the level it must have."""
    _CHALLENGES.take()
    return demanded()


def demanded() -> int:
    """Return the level that a new proof from the network of this request must have now, from 0 to HARDEST."""
    load = max(_CHALLENGES.used(), _PROVEN.used())
    return sum(load > step for step in _STEPS)


def count_proven() -> None:
    """Count an accepted proof."""
    _PROVEN.take()
