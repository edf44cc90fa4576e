"""deploy/: nginx and Caddy as documented, with TLS, on a port other than 443."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.conftest import PASSWORD, make_settings
from tests.doubles.certificates import LoopbackAuthority
from tests.proxies import documented
from tests.sessions import Staff
from tests.site import Site
from tests.visits import Page

MEGABYTE = 1024 * 1024


@pytest.fixture(scope="module", params=documented.NAMES)
def site(
    request: pytest.FixtureRequest, migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A site that is reached by the proxy only; one for all tests."""
    if not documented.program(request.param):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp("behind")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    authority = LoopbackAuthority(folder)
    authority.server_context()
    port = servers.free_port()
    with (
        servers.redis_server(folder) as redis_url,
        Site(
            replace(
                make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder),
                trusted_proxies=1,
                ratelimit_enabled=True,
            )
        ) as behind,
    ):
        behind.change(replace(behind.settings, site_url=f"https://localhost:{port}"))
        behind.serve()
        behind.create_user("staff@example.org")
        with documented.running(
            request.param, folder, port=port, upstream=behind.settings.port, certificate=folder / "server.pem"
        ):
            yield behind
    assert behind.failures == []


@pytest.fixture
def ca_file(site: Site) -> Path:
    """The certificate that the site's own is signed with."""
    return site.settings.instance_dir / "ca.pem"


@pytest.fixture
def staff(site: Site, ca_file: Path) -> Iterator[Staff]:
    """An administrator who is not signed in."""
    with Staff(site.settings, ca_file) as staff:
        yield staff


def test_people_do_through_it_what_they_do_without(site: Site, staff: Staff) -> None:
    address = site.settings.site_url
    assert staff.get("/").url == f"{address}/feedback/"  # redirects keep scheme and port
    assert staff.get("/admin/").url.startswith(f"{address}/login?next=")
    assert staff.write("Hello").url == f"{address}/feedback/complete/"  # so its Referer was found to be ours
    assert staff.write("ü" * 199_000).url == f"{address}/feedback/complete/"
    signed_in = staff.sign_in("staff@example.org", PASSWORD)
    assert (signed_in.url, signed_in.status_code) == (f"{address}/admin/", 200)
    port = urlsplit(address).port
    assert {f"__Host-session_{port}", f"__Host-known_browser_{port}"} <= set(staff.cookies)
    too_large = staff.send("/feedback/", content="x" * 4 * MEGABYTE, submitter_name="Ada")
    assert too_large.status_code == 413
    assert "Go back: your text is still there." in too_large.text
    assert staff.get("/feedback/").status_code == 200


def test_a_refusal_breaks_no_connection_that_others_use(site: Site, ca_file: Path) -> None:
    address = site.settings.site_url

    def ask(number: int) -> int:
        with requests.Session() as session:
            session.trust_env, session.verify = False, str(ca_file)
            if number % 4:
                return session.get(f"{address}/healthz", timeout=20).status_code
            path, size = [("login", 70_000), ("push/subscribe", 70_000), ("feedback/", 4 * MEGABYTE)][number // 4 % 3]
            return session.post(f"{address}/{path}", data=b"x" * size, timeout=20).status_code

    with ThreadPoolExecutor(4) as people:
        codes = list(people.map(ask, range(120)))
    assert {code for number, code in enumerate(codes) if number % 4} == {200}
    assert {code for number, code in enumerate(codes) if not number % 4} == {413}


def test_it_says_itself_where_requests_come_from(staff: Staff, ca_file: Path) -> None:
    page = staff.get("/feedback/").url
    forged = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Forwarded-Prefix"]
    with requests.Session() as session:
        session.trust_env, session.verify = False, str(ca_file)
        answer = session.get(page, headers=dict.fromkeys(forged, "evil.example"), timeout=20)
        assert (answer.status_code, answer.url, "evil" in answer.text) == (200, page, False)
        fields = {**Page(answer).fields, "content": "Hello", "submitter_name": "Ada"}
        codes = [
            session.post(
                page, fields, headers={"Referer": page, "X-Forwarded-For": f"192.0.2.{number}"}, timeout=20
            ).status_code
            for number in range(22)
        ]
    assert (codes[0], codes[-1]) == (200, 429)  # all of them came from one address, so this test is the last
