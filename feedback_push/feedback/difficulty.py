"""Set the difficulty of a proof of work. It grows with the load of the network and of the site.

A network's load is the number of challenges it has requested, so nobody can hoard easy ones. The site's load is the
number of accepted proofs, so nobody can raise it for others without doing the work.
"""

from limits import RateLimitItemPerMinute

from feedback_push.feedback.quotas import Quota

HARDEST = 3  # each level doubles the work, so this one takes eight times as much
# The work grows above one eighth of these limits: 30 challenges per connection and 600 messages for the site, each in
# 10 minutes.
_CHALLENGES = Quota("challenges", 8 * 30, 0, RateLimitItemPerMinute, 10)
_PROVEN = Quota("proven-messages", 0, 8 * 600, RateLimitItemPerMinute, 10)
_STEPS = (1 / 8, 1 / 4, 1 / 2)


def of_new_challenge() -> int:
    """Count a challenge for this request's network, and return the level that the challenge must have."""
    _CHALLENGES.take()
    return demanded()


def demanded() -> int:
    """Return the level that a new proof from this request's network must have now, from 0 to HARDEST."""
    load = max(_CHALLENGES.used(), _PROVEN.used())
    return sum(load > step for step in _STEPS)


def count_proven() -> None:
    """Count an accepted proof."""
    _PROVEN.take()
