"""Run the web server, a Celery worker and the embedded broker in one terminal, for `make run`."""


class StartError(Exception):
    """The start cannot continue; the text gives the reason and the next step."""
