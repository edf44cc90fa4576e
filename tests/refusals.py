"""Get the message with which a validator of settings refuses a value."""

from collections.abc import Callable

import pytest
from environs import ValidationError


def is_refused(rule: Callable[..., object], value: str, *more: object) -> str:
    """Return the message of the refusal."""
    with pytest.raises(ValidationError) as refusal:
        rule(value, *more)
    return " ".join(str(message) for message in refusal.value.messages)
