"""The keys of a site in a backup, and their way back into the instance folder's secrets.env."""

import os
from io import StringIO
from pathlib import Path
from tempfile import mkstemp
from typing import NamedTuple

from dotenv import dotenv_values

from feedback_push import vapid_validators
from feedback_push.backup import archive
from feedback_push.backup.errors import BackupError
from feedback_push.config import Settings

NAME = "secrets.env"
_PREVIOUS = "SECRET_KEY_PREVIOUS"
_LARGEST = 64 * 1024  # bytes
_HEADER = "# Written by `restore`. Anybody who can read this file can act as this site.\n"


def export(settings: Settings) -> str:
    """Return the lines of secrets.env that the restored site needs, wherever the values are set now."""
    values = {"SECRET_KEY": settings.secret_key}
    if settings.secret_key_previous:
        values[_PREVIOUS] = settings.secret_key_previous
    if settings.push_enabled:
        values["VAPID_PRIVATE_KEY"] = settings.vapid_private_key
        values["VAPID_PUBLIC_KEY"] = settings.vapid_public_key
    if settings.vapid_subject not in ("", vapid_validators.default_subject(settings.site_url)):
        values["VAPID_SUBJECT"] = settings.vapid_subject
    return _text(values)


class Plan(NamedTuple):
    """The new content of secrets.env."""

    path: Path
    values: dict[str, str]

    def carry_out(self, **more: str) -> None:
        """Replace the file, which only its owner can read."""
        text = _HEADER + _text({**self.values, **more})
        descriptor, name = mkstemp(dir=self.path.parent, prefix=self.path.name)  # mode 0600
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        Path(name).replace(self.path)
        archive.sync_folder(self.path.parent)


def plan(exported: Path, settings: Settings, *, replace: bool) -> Plan:
    """Return what to store; raise BackupError if another value is set where it would win, or may not be replaced."""
    if exported.stat().st_size > _LARGEST:
        raise BackupError("The keys in the backup cannot be read.")
    path = settings.instance_dir / "secrets.env"
    stored, wanted = _values(path), _values(exported)
    if _PREVIOUS not in wanted:
        stored.pop(_PREVIOUS, None)  # it belongs to a rotation after the backup
    different = {name for name, value in wanted.items() if getattr(settings, name.lower(), "") != value}
    elsewhere = {name for name in wanted if os.environ.get(name) not in (None, stored.get(name))}
    if fixed := sorted(different & elsewhere):
        raise BackupError(
            f"The environment or .env has other values than the backup. Remove there: {', '.join(fixed)}."
        )
    if (taken := sorted(different & stored.keys())) and not replace:
        raise BackupError(f"{path} has other keys than the backup ({', '.join(taken)}). Add --replace to lose them.")
    return Plan(path, stored | {name: value for name, value in wanted.items() if name not in elsewhere})


def _values(path: Path) -> dict[str, str]:
    try:
        text = path.read_text()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError):
        raise BackupError(f"{path} cannot be read.") from None
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text), interpolate=False).items()}


def _text(values: dict[str, str]) -> str:
    """Return the lines of an environment file; raise BackupError for a value that such a file cannot hold."""
    lines = [f"{name}='{value}'\n" if _needs_quotes(value) else f"{name}={value}\n" for name, value in values.items()]
    text = "".join(lines)
    if dotenv_values(stream=StringIO(text)) != values:
        raise BackupError("A key contains quotes, `${` or other characters that no environment file can hold.")
    return text


def _needs_quotes(value: str) -> bool:
    return not value.replace("-", "").replace("_", "").isalnum()
