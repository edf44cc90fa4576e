"""Accounts and signing in."""

from feedback_push.auth.views import blueprint

__all__ = ["blueprint"]
