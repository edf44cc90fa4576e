"""Convert settings to environment variables for another process."""

from dataclasses import fields

from feedback_push.config import Settings


def environment_of(settings: Settings) -> dict[str, str]:
    """Return all settings by the names of their variables."""
    return {field.name.upper(): _spelled(getattr(settings, field.name)) for field in fields(settings)}


def _spelled(value: object) -> str:
    if value is None:
        return ""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
