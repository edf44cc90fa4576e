"""The web application for gunicorn and the flask command."""

from feedback_push import create_app

app = create_app()
