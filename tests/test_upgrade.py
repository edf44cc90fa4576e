"""A database of version 0.2.0 goes on after an upgrade: nothing is lost, and what waited is sent once."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import MetaData, Table, select, text

from feedback_push import database, event_counts
from feedback_push.config import Settings
from feedback_push.database import db, utcnow
from feedback_push.feedback import lists
from tests import version_0_2_0
from tests.conftest import KEYS, PASSWORD
from tests.doubles.push_device import Device
from tests.doubles.push_service import PushService
from tests.flow.deliveries import wait_until_final
from tests.site import Site
from tests.test_migrations import migrate
from tests.version_0_2_0 import TOKEN, WAITING
from tests.visits import Visitor

pytestmark = pytest.mark.slow


def test_a_database_of_0_2_0_keeps_all_it_has_and_sends_what_was_queued(
    any_app: Flask, client: Visitor, service: PushService, settings: Settings, own_redis_url: str
) -> None:
    devices = [service.new_device(KEYS.public_key) for _ in WAITING]
    tables = old_database(any_app, devices)
    before = rows_of(tables)
    assert all(before.values()), "a table without rows proves nothing"
    database.upgrade(any_app)
    assert migrate(any_app, "check")
    assert rows_of(tables) == before
    with Site(replace(settings, redis_url=own_redis_url)) as site:
        with site.work("--pool", "threads"):
            for place, messages in WAITING.items():
                devices[place].wait(len(messages))
            wait_until_final(site)
        assert site.failures == []
    for place, messages in WAITING.items():
        pushed = [push.json()["notification"]["tag"] for push in devices[place].pushes]
        assert sorted(pushed) == [f"message-{message}" for message in sorted(messages)]
    with client.session_transaction(base_url=client.site) as cookie:
        cookie["_user_id"] = TOKEN
    inbox = client.get("/admin/")
    assert inbox.status_code == 200
    assert "Bugs" in inbox.get_data(as_text=True)  # the saved search of this account
    assert client.get("/admin/webhooks").status_code == 200  # for owners, as everybody was one
    somebody = Visitor(any_app)
    somebody.sign_in("second@example.org", PASSWORD)  # which needs nothing but the password, as before
    assert somebody.signed_in()
    assert [row.id for row in lists.page(lists.Filter(words="ada", tag="bug")).messages] == [1]
    written = event_counts.of_days("message", utcnow().date() - timedelta(days=1))
    assert sum(count.total() for count in written.values()) == 6  # the figures know them, without the spam


def old_database(app: Flask, devices: list[Device]) -> list[Table]:
    """Make the schema of 0.2.0 with rows in every table, and return its tables."""
    assert migrate(app, "downgrade", "base")
    assert migrate(app, "upgrade", version_0_2_0.REVISION)
    found = MetaData()
    found.reflect(db.engine)
    rows = version_0_2_0.rows(utcnow(), devices)
    with db.engine.begin() as connection:
        for name, of_table in rows.items():
            connection.execute(found.tables[name].insert(), of_table)
            if connection.dialect.name == "postgresql" and "id" in of_table[0]:
                after = text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), {len(of_table)})")
                connection.execute(after)
    ours = [table for table in found.sorted_tables if table.name.startswith(("auth_", "push_", "feedback_"))]
    ours = [table for table in ours if not table.name.startswith("feedback_search")]  # of SQLite's search
    assert {table.name for table in ours} == rows.keys()
    return ours


def rows_of(tables: list[Table]) -> dict[str, list[Any]]:
    """Return what the columns of 0.2.0 hold now."""
    with db.engine.connect() as connection:
        return {table.name: sorted(map(repr, connection.execute(select(*table.c)))) for table in tables}
