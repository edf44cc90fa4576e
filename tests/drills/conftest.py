"""Fixtures for the attacked site: the web server as an operator runs it, on SQLite with its own Redis."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import make_settings, migrated_sqlite, redis_url
from tests.site import Site

__all__ = ["migrated_sqlite", "redis_url"]
_AS_IN_LIFE = {"ratelimit_enabled": True, "form_defence": True}


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Hash passwords as in production, because drills measure what a sign-in costs."""


@pytest.fixture
def start_site(migrated_sqlite: Path, redis_url: str, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Start a site with these settings changed; its rate limits are on, as in production."""
    with ExitStack() as sites:

        def start(**changes: Any) -> Site:
            shutil.copy(migrated_sqlite, tmp_path / "site.sqlite")
            settings = make_settings(f"sqlite:///{tmp_path / 'site.sqlite'}", redis_url, tmp_path)
            site = sites.enter_context(Site(replace(settings, **{**_AS_IN_LIFE, **changes})))
            site.serve()
            return site

        yield start


@pytest.fixture
def site(start_site: Callable[..., Site]) -> Site:
    """Start a site with the settings of a small one."""
    return start_site()
