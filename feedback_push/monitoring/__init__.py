"""Metrics for Prometheus, computed from the database, so that every process gives the same answer."""

from flask import Flask

from feedback_push.monitoring import form_posts
from feedback_push.monitoring.views import blueprint

__all__ = ["blueprint", "init_app"]


def init_app(app: Flask) -> None:
    """Count the form's posts that are not stored."""
    app.after_request(form_posts.count_unstored)
