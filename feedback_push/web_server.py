"""gunicorn's threads for requests, taken back from clients that are too slow to send theirs."""

import socket
from contextlib import suppress
from threading import Timer
from typing import Any

from gunicorn.workers.gthread import ThreadWorker


class Worker(ThreadWorker):  # type: ignore[misc]
    """Waits for a request no longer than --timeout says (30 seconds), however slowly its bytes trickle in.

    gthread itself has no end to that, so that a few clients which send a byte now and then would take every thread.
    """

    def handle(self, conn: Any) -> Any:
        """Answer the requests of a connection; what has not arrived in time never will."""
        end = Timer(self.cfg.timeout, _stop_listening, [conn.sock])
        end.daemon = True
        end.start()
        try:
            return super().handle(conn)
        finally:
            end.cancel()


def _stop_listening(client: socket.socket) -> None:
    with suppress(OSError):
        client.shutdown(socket.SHUT_RD)  # what is being sent to it goes on
