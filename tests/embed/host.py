"""A web site of somebody else, on another port and host name, whose pages show our elements."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Host:
    """The pages by path, each with its content security policy, or an empty text for none."""

    url: str
    pages: dict[str, tuple[str, str]] = field(default_factory=dict)

    def add(self, path: str, body: str, *, policy: str = "", head: str = "", html: str = 'lang="en"') -> str:
        """Serve this page from now on, and return its address."""
        page = f"<!doctype html><html {html}><head><title>A shop</title>{head}</head><body>{body}</body></html>"
        self.pages[path] = (page, policy)
        return f"{self.url}{path}"


@contextmanager
def host() -> Iterator[Host]:
    """Run the site on localhost; ours runs on 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page, policy = site.pages.get(urlsplit(self.path).path, ("", ""))
            self.send_response(200 if page else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            if policy:
                self.send_header("Content-Security-Policy", policy)
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *_: Any) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Host(f"http://localhost:{server.server_port}")
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
