"""Sites for journeys: a web server on each kind of database, with a Redis of its own."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests import servers
from tests.conftest import make_settings
from tests.databases import Databases
from tests.site import OFTEN, Site


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def serving_site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site of this module with its web server but no worker; on each kind of database."""
    folder = tmp_path_factory.mktemp("site")
    url = _sqlite(request, folder) if request.param == "sqlite" else _postgresql(request)
    with (
        servers.redis_server(folder) as redis_url,
        Site(make_settings(url, redis_url, folder), sweep_interval=OFTEN) as site,
    ):
        site.serve()
        yield site


@pytest.fixture
def site(serving_site: Site) -> Iterator[Site]:
    """The module's site with an empty database; no process may write a traceback."""
    earlier = serving_site.failures
    yield serving_site
    serving_site.empty()
    assert serving_site.failures == earlier


def _sqlite(request: pytest.FixtureRequest, folder: Path) -> str:
    migrated: Path = request.getfixturevalue("migrated_sqlite")
    shutil.copy(migrated, folder / "site.sqlite")
    return f"sqlite:///{folder / 'site.sqlite'}"


def _postgresql(request: pytest.FixtureRequest) -> str:
    databases: Databases = request.getfixturevalue("postgresql")
    return databases.copy(f"site_{uuid4().hex}")
