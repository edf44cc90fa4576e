"""Answer a request in one of the threads: by the application, or with one line of text if it is malformed."""

from typing import Any

from waitress import task


class Task(task.WSGITask):  # type: ignore[misc]
    """A request that the application answers."""

    def get_environment(self) -> dict[str, Any]:
        """Return the WSGI environment with the server's own entries."""
        environ: dict[str, Any] = super().get_environment()
        environ["SERVER_SOFTWARE"] = "waitress"
        environ["feedback_push.overloaded"] = self.request.overloaded
        return environ

    def build_response_header(self) -> bytes:
        """Return the head of the response; while the server stops, it tells the client to use another connection."""
        if self.channel.server.is_stopping:
            self.request.headers["CONNECTION"] = "close"
        head: bytes = super().build_response_header()
        return head


class ErrorTask(task.ErrorTask):  # type: ignore[misc]
    """A malformed request; the response repeats nothing of it."""

    def execute(self) -> None:
        """Answer with the reason and close the connection."""
        error = self.request.error
        self.status = f"{error.code} {error.reason}"
        self.response_headers += [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        body = f"{error.reason}.\n".encode()
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)
