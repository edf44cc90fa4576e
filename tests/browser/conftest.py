"""Fixtures for the browser tests: all share one Firefox and one site, which are reset before each test."""

import shutil
import struct
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox, executable
from tests.conftest import make_settings
from tests.doubles.push_service import PushService
from tests.servers import CHECKOUT
from tests.site import Site

LOGO = "#1e3f8b"  # the colour of the site's logo


@pytest.fixture(scope="session")
def service() -> Iterator[PushService]:
    """Run the push service that Firefox connects to."""
    with PushService() as running:
        yield running


@pytest.fixture(scope="session")
def firefox(service: PushService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Firefox]:
    """Run a real Firefox, headless."""
    if not executable():
        pytest.skip("Firefox is not installed")
    with Firefox(tmp_path_factory.mktemp("firefox") / "profile", service.websocket_url) as running:
        yield running


@pytest.fixture(scope="session")
def site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site with its web server and a worker."""
    logo = tmp_path_factory.mktemp("logo") / "logo.png"
    logo.write_bytes(png(LOGO))
    with working_site(migrated_sqlite, tmp_path_factory.mktemp("site"), site_logo=str(logo)) as running:
        yield running


def png(colour: str, size: int = 64) -> bytes:
    """Return a square picture of one colour."""
    rows = (b"\0" + bytes.fromhex(colour[1:]) * size) * size
    chunks = {b"IHDR": struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0), b"IDAT": zlib.compress(rows), b"IEND": b""}
    lines = [struct.pack(">I", len(body)) + name + body for name, body in chunks.items()]
    sums = [struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks.items()]
    return b"\x89PNG\r\n\x1a\n" + b"".join(line + checked for line, checked in zip(lines, sums, strict=True))


@contextmanager
def working_site(
    migrated_sqlite: Path, folder: Path, periods: Mapping[str, float] | None = None, **changes: Any
) -> Iterator[Site]:
    """Run a site with its web server and a worker in this folder, with other periods and settings if given."""
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    with servers.redis_server(folder) as redis_url:
        settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
        with Site(replace(settings, **changes), periods=periods) as running:
            running.serve()
            running.work("--pool", "threads")
            yield running


@pytest.fixture
def dashboard(firefox: Firefox, site: Site, service: PushService) -> Iterator[Dashboard]:
    """Open the dashboard in a browser that has never visited it, with one administrator's account."""
    earlier = site.failures
    with Dashboard(firefox, site, service) as opened:
        yield opened
    assert site.failures == earlier


@pytest.fixture(scope="session")
def bare_site() -> Iterator[str]:
    """Serve the scripts from a bare site, because our own pages allow no scripts but their own."""
    handler = partial(_Quiet, directory=str(CHECKOUT))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/static/admin/"
        server.shutdown()
        thread.join()


@pytest.fixture
def bare_page(firefox: Firefox, bare_site: str) -> Firefox:
    """Return the browser at a page that has no script of its own."""
    if firefox.url != bare_site:
        firefox.open(bare_site)
    return firefox


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the base class
        """Log nothing."""
