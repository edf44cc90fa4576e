"""The configurations in deploy/, changed in nothing but names, ports and certificates, and running."""

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
FILES = {
    ("nginx", "feedback.example.org"): "nginx.conf",
    ("nginx", "example.org"): "nginx-under-a-path.conf",
    ("caddy", "feedback.example.org"): "Caddyfile",
    ("caddy", "example.org"): "Caddyfile.under-a-path",
}


def program(name: str) -> str | None:
    """Return the program's path, or None if it is not installed."""
    return shutil.which(name, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def running(
    name: str,
    folder: Path,
    *,
    port: int,
    upstream: int,
    certificate: Path,
    domain: str = "feedback.example.org",
    changes: dict[str, str] | None = None,
) -> Iterator[None]:
    """Serve https://localhost:PORT with the file for a domain, in front of a site at the upstream's port.

    `example.org` is the domain of the configuration for a site under a path; the rest of it is in the folder `www`.
    """
    prepare = {"nginx": _nginx, "caddy": _caddy}[name]
    site = _changed(
        (CHECKOUT / "deploy" / FILES[name, domain]).read_text(),
        {"127.0.0.1:8000": f"127.0.0.1:{upstream}", **(changes or {})},
    )
    command, environment = prepare(folder, site.replace("/srv/www", f"{folder}/www"), port, domain, certificate)
    with servers.running(command, folder / f"{name}.log", environment=environment):
        servers.wait_until(lambda: _listens(port), 60, f"{name}'s start")
        yield


def block(language: str, name: str) -> str:
    """Return the only block of docs/deploy.md in this language that contains a name as a whole word."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (CHECKOUT / "docs" / "deploy.md").read_text(), re.DOTALL)
    [found] = [block for block in blocks if re.search(rf"(?<![\w.]){re.escape(name)}(?![\w.])", block)]
    return str(found)


def _nginx(folder: Path, site: str, port: int, domain: str, certificate: Path) -> tuple[list[str], dict[str, str]]:
    site = _changed(
        site,
        {
            "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            f"server_name {domain}": "server_name localhost",
            f"/etc/ssl/{domain}.pem": str(certificate),
            f"/etc/ssl/private/{domain}.key": str(certificate),
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


def _caddy(folder: Path, site: str, port: int, domain: str, certificate: Path) -> tuple[list[str], dict[str, str]]:
    own = f"{{\n    bind 127.0.0.1\n    tls {certificate} {certificate}"
    if "{$SITE_ADDRESS:" in site:  # its default is the domain
        site = _changed(site, {f"{{$SITE_ADDRESS:{domain}}} {{": f"{{$SITE_ADDRESS:{domain}}} {own}"})
    else:
        site = _changed(site, {f"{domain} {{": f"https://localhost:{port} {own}"})
    (folder / "Caddyfile").write_text("{\n    admin off\n    auto_https off\n}\n" + site)
    command = [str(program("caddy")), "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    folders = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "HOME": str(folder)}
    return command, {"SITE_ADDRESS": f"https://localhost:{port}", **folders}


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
