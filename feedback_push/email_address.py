"""Whether a text is an e-mail address; those inside an intranet, such as admin@localhost, count too."""

import email_validator

LONGEST = 320  # characters
# The library's documented way to permit them: nobody here sends mail, so a reserved name does no harm.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


def problem(address: str) -> str | None:
    """What is wrong with the address, or None; one that is too long is not looked at."""
    if len(address) > LONGEST:
        return f"The address has more than {LONGEST} characters."
    try:
        email_validator.validate_email(address, check_deliverability=False, globally_deliverable=False)
    except email_validator.EmailNotValidError as error:
        return str(error)
    return None
