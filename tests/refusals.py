"""What a rule for settings says of a value that it does not take."""

from collections.abc import Callable

import pytest
from environs import ValidationError


def is_refused(rule: Callable[..., object], value: str, *more: object) -> str:
    """The words of the refusal."""
    with pytest.raises(ValidationError) as refusal:
        rule(value, *more)
    return " ".join(str(message) for message in refusal.value.messages)
