"""The configurations of docs/deploy.md, changed in nothing but names, ports and certificates, and running."""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.servers import CHECKOUT

NAMES = ("nginx", "caddy")


def program(name: str) -> str | None:
    """Return the program's path, or None if it is not installed."""
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def running(name: str, folder: Path, *, port: int, upstream: int, certificate: Path) -> Iterator[None]:
    """Serve https://localhost:PORT as the documentation says, in front of a site at the upstream's port."""
    prepare = {"nginx": _nginx, "caddy": _caddy}[name]
    command, environment = prepare(folder, _block(name), port, upstream, certificate)
    with servers.running(command, folder / f"{name}.log", environment=environment):
        servers.wait_until(lambda: _listens(port), 60, f"{name}'s start")
        yield


def _block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (CHECKOUT / "docs" / "deploy.md").read_text(), re.DOTALL)
    assert found, f"docs/deploy.md has no block for {language}"
    return found[1]


def _nginx(folder: Path, block: str, port: int, upstream: int, certificate: Path) -> tuple[list[str], dict[str, str]]:
    site = _changed(
        block,
        {
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "server_name feedback.example.org": "server_name localhost",
            "/etc/ssl/feedback.example.org.pem": str(certificate),
            "/etc/ssl/private/feedback.example.org.key": str(certificate),
        },
    )
    paths = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.geteuid() == 0 else ""  # or it could not write below our folder
    (folder / "nginx.conf").write_text(
        f"daemon off;\n{user}pid {folder}/nginx.pid;\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{paths}{site}\n}}\n"
    )
    return [str(program("nginx")), "-c", str(folder / "nginx.conf")], {}


def _caddy(folder: Path, block: str, port: int, upstream: int, certificate: Path) -> tuple[list[str], dict[str, str]]:
    opening = f"https://localhost:{port} {{\n    bind 127.0.0.1\n    tls {certificate} {certificate}"
    site = _changed(block, {"127.0.0.1:8000": f"127.0.0.1:{upstream}", "feedback.example.org {": opening})
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https off\n}\n" + site)
    command = [str(program("caddy")), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    return command, {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}


def _changed(block: str, changes: dict[str, str]) -> str:
    for documented, ours in changes.items():
        assert block.count(documented) == 1, documented
        block = block.replace(documented, ours)
    return block


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
