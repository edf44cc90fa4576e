"""The application for the flask command and for other WSGI servers."""

from feedback_push import create_app

app = create_app()
