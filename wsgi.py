"""The application for the flask command, and for any other WSGI server."""

from feedback_push import create_app

app = create_app()
