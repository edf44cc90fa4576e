"""Let visitors open the form, each on a new connection, and measure how long they wait."""

import math
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from statistics import median

from tests.site import Site

_PATIENCE = 10.0  # seconds until a visitor gives up
_BETWEEN = 0.05  # seconds from one visitor to the next


@dataclass(frozen=True)
class Experience:
    """The seconds that each visitor waited for the whole page, and the number of visitors that got none."""

    times: list[float]
    refused: int

    @property
    def median(self) -> float:
        """The median wait in seconds."""
        return median(self.times)

    @property
    def p95(self) -> float:
        """The 95th percentile of the waits in seconds."""
        return sorted(self.times)[math.ceil(0.95 * len(self.times)) - 1]

    def __str__(self) -> str:
        waited = f"{self.median:.3f} / {self.p95:.3f} s" if self.times else "-"
        return f"{waited}, {self.refused} of {len(self.times) + self.refused} refused"


def visit(site: Site, seconds: float) -> Experience:
    """Let visitors come for this many seconds, and return their experience."""
    visits: list[Future[float | None]] = []
    over = time.monotonic() + seconds
    with ThreadPoolExecutor(40) as visitors:
        while time.monotonic() < over:
            visits.append(visitors.submit(_open_form, site))
            time.sleep(_BETWEEN)
    waited = [each.result() for each in visits]
    times = [seconds for seconds in waited if seconds is not None]
    return Experience(times, len(waited) - len(times))


def _open_form(site: Site) -> float | None:
    began = time.monotonic()
    connection = HTTPConnection("127.0.0.1", site.settings.port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/feedback/")
        answer = connection.getresponse()
        if answer.status != 200 or b"</html>" not in answer.read():
            return None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return time.monotonic() - began
