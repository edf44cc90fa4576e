"""`make run`: the web server, a Celery worker and the embedded broker in one terminal."""


class StartError(Exception):
    """The start cannot go on; the text says why and what to do about it."""
