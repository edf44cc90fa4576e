"""Ask the web server of these settings whether it serves; `python -m feedback_push.web_server.health_check`.

It needs no other program, and loads neither Flask nor the server, so a container can run it often.
"""

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

from feedback_push import config
from feedback_push.config import Settings


def main() -> int:
    """Return 0 if it serves, else 1."""
    return 0 if answers(config.load()) else 1


def answers(settings: Settings) -> bool:
    """Return whether the server at HOST and PORT answers /healthz with 200 within a second."""
    connection = HTTPConnection(settings.host, settings.port, timeout=1)
    headers = {"Host": urlsplit(settings.site_url).netloc}  # the site refuses any other
    try:
        connection.request("GET", f"{settings.site_path}/healthz", headers=headers)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
