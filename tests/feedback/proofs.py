"""A browser's part of the form's defence: time that passes, and a proof of work."""

import altcha

from tests.visits import Visitor


def solved(visitor: Visitor) -> str:
    """A fresh challenge and its solution, as the form's script puts them into the form."""
    challenge = altcha.Challenge.from_dict(visitor.get("/feedback/challenge").get_json())
    solution = altcha.solve_challenge(challenge)
    assert solution
    return altcha.Payload(challenge, solution).to_base64()
