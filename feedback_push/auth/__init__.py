"""Accounts, sign-in, sessions and the audit log."""

from feedback_push.auth.views import blueprint

__all__ = ["blueprint"]
