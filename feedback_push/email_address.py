"""Check e-mail addresses; those of an intranet, such as admin@localhost, are valid too."""

import email_validator
import regex

LONGEST = 320  # characters
# The library's documented way to allow reserved names. The application sends no mail, so they do no harm.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# The HTML Standard's pattern for <input type=email>, which accepts addresses that exist, such as a..b@docomo.ne.jp and
# a.@docomo.ne.jp. This one also accepts letters of all scripts on both sides, and a dot at the end.
_LABEL = r"[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}\-]{0,61}[\p{L}\p{M}\p{N}])?"
_TYPED = regex.compile(rf"[\p{{L}}\p{{M}}\p{{N}}.!#$%&'*+/=?^_`{{|}}~\-]+@{_LABEL}(?:\.{_LABEL})*\.?")


def is_plausible(address: str) -> bool:
    """Return whether a person may have typed this as their address, even if no mail can be sent to it."""
    return len(address) <= LONGEST and _TYPED.fullmatch(address) is not None


def problem(address: str) -> str | None:
    """Return the problem with the address, or None; do not parse an address that is too long."""
    if len(address) > LONGEST:
        return f"The address has more than {LONGEST} characters."
    try:
        email_validator.validate_email(address, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as error:
        return str(error)
    return None
