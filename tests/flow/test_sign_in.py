"""Signing in: guessing at several web processes, and two sites in one browser."""

import shutil
from contextlib import ExitStack
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from tests.conftest import PASSWORD, make_settings
from tests.site import Site


def test_two_web_processes_count_failures_together(sqlite_url: str, own_redis_url: str, tmp_path: Path) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    settings = replace(make_settings(sqlite_url, own_redis_url, tmp_path / "one"), ratelimit_enabled=True)
    with Site(settings) as one, Site(replace(settings, instance_dir=tmp_path / "other")) as other:
        for site in (one, other):
            site.serve()
        one.create_user("staff@example.org")
        guessers = cycle([one.visitor(), other.visitor()])
        codes: list[int] = []
        while codes[-1:] != [429]:
            codes.append(next(guessers).send("/login", email="staff@example.org", password="wrong").status_code)
        # Each counting for itself would let ten pass; a slow machine may see the wait of a second or two end.
        assert 5 <= codes.count(422) < 9
        assert set(codes[:-1]) == {422}
        refused = next(guessers).send("/login", email="staff@example.org", password=PASSWORD)
        assert (refused.status_code, int(refused.headers["Retry-After"]) > 0) == (429, True)
        assert one.failures == other.failures == []


def test_two_sites_on_one_host_do_not_sign_each_other_out(
    migrated_sqlite: Path, own_redis_url: str, tmp_path: Path
) -> None:
    sites: list[Site] = []
    with ExitStack() as running:
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            database = shutil.copy(migrated_sqlite, tmp_path / name)
            settings = make_settings(f"sqlite:///{database}", own_redis_url, tmp_path / name)
            sites.append(running.enter_context(Site(replace(settings, secret_key=f"a secret for tests only, {name}"))))
        for site in sites:
            site.serve()
            site.create_user("staff@example.org")
        one, other = sites
        browser = one.staff()
        browser.send(f"{other.url}/login", email="staff@example.org", password=PASSWORD)
        for site in sites * 2:
            assert browser.get(site.dashboard).url == site.dashboard
        browser.send(f"{other.url}/feedback/", content="Hello", submitter_name="Ada")
        assert browser.get(one.dashboard).url == one.dashboard
