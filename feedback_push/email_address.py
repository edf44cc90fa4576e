"""Whether a text is an e-mail address; those inside an intranet, such as admin@localhost, count too."""

import email_validator
import regex

LONGEST = 320  # characters
# The library's documented way to permit them: nobody here sends mail, so a reserved name does no harm.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# The HTML Standard's pattern for <input type=email>, which takes a..b@docomo.ne.jp and a.@docomo.ne.jp, addresses that
# there are; besides letters of all scripts on both sides, and a dot at the end.
_LABEL = r"[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}\-]{0,61}[\p{L}\p{M}\p{N}])?"
_TYPED = regex.compile(rf"[\p{{L}}\p{{M}}\p{{N}}.!#$%&'*+/=?^_`{{|}}~\-]+@{_LABEL}(?:\.{_LABEL})*\.?")
LONGEST = 320


def is_plausible(address: str) -> bool:
    """Return whether a person may have typed this as their address, though perhaps no mail can be sent to it."""
    return len(address) <= LONGEST and _TYPED.fullmatch(address) is not None


def problem(address: str) -> str | None:
    """What is wrong with the address, or None; one that is too long is not looked at."""
    if len(address) > LONGEST:
        return f"The address has more than {LONGEST} characters."
    try:
        email_validator.validate_email(address, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as error:
        return str(error)
    return None
