"""encryption.py: a stored secret is read only with the SECRET_KEY and the purpose it was stored with."""

from dataclasses import replace

import pytest
from flask import Flask

from feedback_push import create_app, encryption
from feedback_push.encryption import UnreadableError

STORED_BY_AN_EARLIER_RELEASE = (
    "gAAAAABlU_EAvAgHSwsTh4g05LKn2qI5UsnVgFFbi-i50JlmCRVVhXTIf6B1SADZILxivHaPHQtu9lsXO7TnlMcGh6yKMrh5xA=="
)


@pytest.mark.usefixtures("app")
def test_a_key_that_an_earlier_release_stored_is_still_read() -> None:
    assert encryption.decrypt(STORED_BY_AN_EARLIER_RELEASE, "VAPID keys") == "a private key"


def test_a_secret_is_unreadable_for_another_purpose_or_with_another_key_or_when_changed(app: Flask) -> None:
    stored = encryption.encrypt("a secret", "TOTP secrets")
    assert encryption.decrypt(stored, "TOTP secrets") == "a secret"
    assert "a secret" not in stored
    for text, purpose in ((stored, "VAPID keys"), (stored[:-9] + "AAAAAAA==", "TOTP secrets"), ("", "TOTP secrets")):
        with pytest.raises(UnreadableError):
            encryption.decrypt(text, purpose)
    other = create_app(replace(app.extensions["settings"], secret_key="another secret key"))
    with other.app_context(), pytest.raises(UnreadableError):
        encryption.decrypt(stored, "TOTP secrets")
