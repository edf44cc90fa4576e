"""Check the settings, the modes of private files, the secrets, and the context in which browsers load the site."""

from urllib.parse import urlsplit

from flask import current_app
from flask_babel import gettext

from feedback_push import setting_validators
from feedback_push.config import Examined, current_settings
from feedback_push.doctor.results import Result, command, ok, wrong

_FEWEST_CHARACTERS = 8  # different ones; a random key of 16 characters has more


def settings() -> Result | list[Result]:
    """Check that the site would start with these settings; no value is repeated."""
    examined: Examined | None = current_app.extensions["examined"]
    if examined is None or not examined.problems:
        return ok("settings", gettext("All settings are valid."))
    fix = gettext("Correct the setting in .env or the environment. docs/settings.md describes it.")
    found = [problem.partition(": ") for problem in examined.problems]
    return [wrong("settings", text, fix, name) for name, _, text in found]


def files() -> Result | list[Result]:
    """Check that nobody else on this machine can read the files with secrets."""
    examined: Examined | None = current_app.extensions["examined"]
    if examined is None or not examined.open_files:
        return ok("files", gettext("Nobody else on this machine can read the files with secrets."))
    found = [line.partition(" Run: ") for line in examined.open_files]
    return [wrong("files", text, gettext("Run: %(command)s", command=fix)) for text, _, fix in found]


def secret() -> Result:
    """Check that SECRET_KEY was made by a machine, as far as one can see."""
    if len(set(current_settings().secret_key)) >= _FEWEST_CHARACTERS:
        return ok("secret", gettext("SECRET_KEY is long enough."))
    return wrong(
        "secret",
        gettext("SECRET_KEY has few different characters, so it can be guessed."),
        gettext("Run: %(command)s", command=command("secret rotate")),
    )


def vapid_subject() -> Result:
    """Check that there is a contact; the settings check that push services accept it."""
    if subject := current_settings().vapid_subject:
        return ok("vapid_subject", subject)
    return wrong(
        "vapid_subject",
        gettext("There is no contact for the push services, so no notification can be sent."),
        gettext("Set VAPID_SUBJECT to mailto: and your e-mail address."),
    )


def secure_context() -> Result:
    """Check that browsers offer push at the address of the site."""
    site = current_settings().site_url
    if site.startswith("https:"):
        return ok("secure_context", gettext("The site is served over https."))
    if setting_validators.is_loopback(urlsplit(site).hostname or ""):
        return ok("secure_context", gettext("Browsers on this machine allow push at its own address without https."))
    return wrong(
        "secure_context",
        gettext("Browsers allow push over https only, and SITE_URL begins with http:."),
        gettext("Put a proxy with a certificate in front of the site, and set SITE_URL to its https: address."),
    )
