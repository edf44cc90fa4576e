"""Settings as the environment variables that a process of its own reads them from."""

from dataclasses import fields

from feedback_push.config import Settings


def environment_of(settings: Settings) -> dict[str, str]:
    """Every setting under the name of its variable."""
    return {field.name.upper(): _spelled(getattr(settings, field.name)) for field in fields(settings)}


def _spelled(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
