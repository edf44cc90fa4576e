"""Accounts, sign-in, sessions and the audit log."""

from feedback_push.auth import factor_views, link_views
from feedback_push.auth.views import blueprint

__all__ = ["blueprint", "factor_views", "link_views"]
