"""Check new passwords: they must be long enough, and not among the passwords that attackers try first."""

from importlib.abc import Loader
from importlib.machinery import ModuleSpec
from importlib.metadata import distribution
from importlib.util import module_from_spec, spec_from_file_location
from typing import cast

from flask_babel import lazy_gettext as _l

SHORTEST = 8
LONGEST = 1000
_TOO_SHORT = _l("A password needs at least %(count)s characters.", count=SHORTEST)
_TOO_LONG = _l("A password can have at most %(count)s characters.", count=LONGEST)
_OWN_ADDRESS = _l("This password is part of your e-mail address, so attackers try it first. Please choose another one.")
_COMMON = _l("This password is very common, so attackers try it first. Please choose another one.")


def problem(password: str, email: str) -> str | None:
    """Return the problem with a password for this account, in the reader's language, or None."""
    if len(password) < SHORTEST:
        return str(_TOO_SHORT)
    if len(password) > LONGEST:
        return str(_TOO_LONG)
    guess = password.strip().casefold()
    if guess in (email.casefold(), email.casefold().partition("@")[0]):
        return str(_OWN_ADDRESS)
    return str(_COMMON) if _is_common(guess) else None


def _is_common(guess: str) -> bool:
    # Importing zxcvbn would keep its lists (14 MB) in every process that has ever checked a new password.
    file = distribution("zxcvbn").locate_file("zxcvbn/frequency_lists.py")
    spec = cast("ModuleSpec", spec_from_file_location("frequency_lists", str(file)))
    module = module_from_spec(spec)
    cast("Loader", spec.loader).exec_module(module)
    return any(guess in common for common in module.FREQUENCY_LISTS.values())
