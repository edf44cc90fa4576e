"""A browser's part of the form's defence: time that passes, and a proof of work."""

import altcha

from tests.visits import Visitor


def solved(visitor: Visitor) -> str:
    """Return a new challenge and its solution, as the form's script fills them in."""
    challenge = altcha.Challenge.from_dict(visitor.get("/feedback/challenge").get_json())
    solution = altcha.solve_challenge(challenge)
    assert solution
    return altcha.Payload(challenge, solution).to_base64()
