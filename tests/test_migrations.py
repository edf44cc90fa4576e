"""The migrations make the schema that the models describe, in both directions, and one machine at a time."""

import subprocess

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, text

from feedback_push import database
from feedback_push.auth import accounts, sessions, sign_in_links
from feedback_push.auth.models import User
from feedback_push.database import Base, db
from feedback_push.feedback import assignments, conversations, lists, saved_searches, tags
from feedback_push.feedback.models import Message, MessageState
from feedback_push.push.models import Subscription
from tests import servers
from tests.environment import environment_of
from tests.feedback.messages import receive
from tests.push.devices import owner, unreachable_devices, visitors
from tests.push.notes import announce, claim

_OF_0013 = ("message_tag", "assignment", "saved_search")
only_on_postgresql = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def migrate(app: Flask, *command: str) -> bool:
    """Return whether this `flask db` command succeeds."""
    db.session.remove()
    database.enable_migrations(app)
    return app.test_cli_runner().invoke(args=["db", *command]).exit_code == 0


def tables() -> set[str]:
    names = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if not name.startswith("feedback_search_")}  # which FTS5 makes for itself


def test_the_migrations_make_what_the_models_describe(any_app: Flask) -> None:
    assert migrate(any_app, "check")
    assert tables() - {"feedback_search"} == set(Base.metadata.tables)


@pytest.mark.usefixtures("app")
def test_the_migrations_give_no_id_twice_where_the_models_do_not() -> None:
    described = {
        name for name, table in Base.metadata.tables.items() if table.dialect_options["sqlite"]["autoincrement"]
    }
    made = db.session.scalars(text("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"))
    assert set(made) == described
    assert {"feedback_message", "push_outbox", "push_delivery"} <= described


def test_the_migrations_go_down_and_up_again(any_app: Flask) -> None:
    assert migrate(any_app, "downgrade", "base")
    assert tables() == set()
    database.upgrade(any_app)
    assert migrate(any_app, "check")
    database.upgrade(any_app)  # a second time there is nothing to do


def test_devices_and_what_waits_for_them_get_the_number_of_their_push_service(any_app: Flask) -> None:
    unreachable_devices(owner(), 2)
    unreachable_devices(owner("other@example.org"), 1, origin="http://one.example")
    announce()
    numbers = text(
        "SELECT device.service, delivery.service FROM push_delivery AS delivery "
        "JOIN push_subscription AS device ON device.id = subscription_id ORDER BY delivery.id"
    )
    before = db.session.execute(numbers).all()
    assert migrate(any_app, "downgrade", "0003")
    database.upgrade(any_app)
    assert db.session.execute(numbers).all() == before
    assert [len(set(row)) for row in before] == [1, 1, 1]
    assert len(set(before)) == 2


def test_messages_of_before_get_their_size_and_the_spam_list_its_bound(any_app: Flask) -> None:
    texts = {"Hello": 5, "Żółw 亀": 11}
    for number, content in enumerate(texts):
        receive(content=content, state=[MessageState.NEW, MessageState.SPAM][number])
    assert migrate(any_app, "downgrade", "0008")
    assert "size" not in {column["name"] for column in inspect(db.engine).get_columns("feedback_message")}
    database.upgrade(any_app)
    rows = db.session.execute(text("SELECT content, size FROM feedback_message")).all()
    assert {row.content: row.size for row in rows} == texts
    assert [receive(content="Ā").size, migrate(any_app, "check")] == [2, True]


@only_on_postgresql
def test_of_several_machines_that_migrate_at_once_each_waits_for_its_turn(any_app: Flask) -> None:
    assert migrate(any_app, "downgrade", "base")
    another = create_engine(any_app.extensions["settings"].database_url, isolation_level="AUTOCOMMIT")
    with another.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext('feedback_push.migrations'))"))
        environment = environment_of(any_app.extensions["settings"])
        command = [str(servers.BIN / "flask"), "--app", "wsgi", "db", "upgrade"]
        with subprocess.Popen(command, cwd=servers.CHECKOUT, env=environment, stderr=subprocess.DEVNULL) as waiting:
            queue = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            servers.wait_until(lambda: connection.execute(queue).scalar() == 1, 60, "the wait for a turn")
            assert tables() == set()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
            assert waiting.wait(60) == 0
    another.dispose()
    assert tables() == set(Base.metadata.tables)


@only_on_postgresql
def test_a_process_that_has_migrated_keeps_nobody_waiting(any_app: Flask) -> None:
    database.upgrade(any_app)
    neighbour = create_engine(any_app.extensions["settings"].database_url)
    with neighbour.connect() as connection:
        question = text("SELECT pg_try_advisory_lock(hashtext('feedback_push.migrations'))")
        assert connection.execute(question).scalar()
    neighbour.dispose()


def test_devices_from_before_sessions_had_any_keep_working_with_all_they_have(any_app: Flask) -> None:
    user = owner()
    sessions.begin(user, browser="Browser", remembered=True)
    unreachable_devices(user, 2)
    announce()
    rows = text(
        "SELECT device.id, device.endpoint, device.name, delivery.id, delivery.state, delivery.due_at "
        "FROM push_subscription AS device JOIN push_delivery AS delivery ON subscription_id = device.id "
        "ORDER BY delivery.id"
    )
    before = db.session.execute(rows).all()
    assert migrate(any_app, "downgrade", "0008")
    assert db.session.execute(rows).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    assert db.session.execute(rows).all() == before
    devices = db.session.query(Subscription).all()
    assert [(device.session_id, device.suspended_at) for device in devices] == [(None, None)] * 2
    accounts.set_password(db.session.query(User).one(), "battery staple")
    db.session.commit()
    assert all(device.suspended_at for device in devices)


def test_accounts_and_sessions_of_before_stay_and_each_account_can_get_a_sign_in_link(any_app: Flask) -> None:
    user = owner()
    sessions.begin(user, browser="Browser", remembered=True)
    db.session.commit()
    rows = text("SELECT auth_user.id, email, password_hash, token_hash FROM auth_user JOIN auth_session ON true")
    before = db.session.execute(rows).all()
    assert migrate(any_app, "downgrade", "0011")
    assert "auth_sign_in_link" not in tables()
    database.upgrade(any_app)
    assert db.session.execute(rows).all() == before
    user = db.session.query(User).one()
    code = sign_in_links.make(user).partition("#")[2]
    assert sign_in_links.use(code) == user
    assert migrate(any_app, "check")


def test_messages_of_before_get_tags_and_an_assignee_and_are_still_found(any_app: Flask) -> None:
    message_id, email = receive(content="Grüße").id, owner().email
    db.session.commit()
    assert migrate(any_app, "downgrade", "0011")
    assert "feedback_tag" not in tables()
    assert db.session.scalars(text("SELECT id FROM feedback_message")).all() == [message_id]
    db.session.rollback()
    database.upgrade(any_app)
    assert migrate(any_app, "check")
    staff = accounts.find(email)
    assert staff
    tags.add(message_id, ["bug"])
    assert assignments.assign(message_id, staff.id)
    saved_searches.save(staff, "Bugs", {"tag": "bug"})
    db.session.commit()
    [row] = lists.page(lists.Filter(words="gruss", tag="BUG", assignee=staff.id)).messages
    assert (row.id, row.tags) == (message_id, "bug")
    accounts.delete(staff)
    db.session.execute(text("DELETE FROM feedback_message"))
    db.session.commit()
    left = [db.session.execute(text(f"SELECT count(*) FROM feedback_{name}")).scalar() for name in _OF_0013]  # noqa: S608
    assert left == [0, 0, 0]


def test_devices_and_messages_of_before_stay_and_get_conversations(any_app: Flask) -> None:
    user = owner()
    message = receive(content="Hello", submitter_email="ada@example.org")
    message_id, email = message.id, user.email
    unreachable_devices(user, 2)
    announce()
    tags.add(message_id, ["bug"])
    db.session.commit()
    kept = text(
        "SELECT device.id, device.user_id, device.endpoint, delivery.id, delivery.state, delivery.due_at, entry.id, "
        "entry.payload, message.content FROM push_subscription AS device "
        "JOIN push_delivery AS delivery ON delivery.subscription_id = device.id "
        "JOIN push_outbox AS entry ON entry.id = delivery.outbox_id "
        "JOIN feedback_message AS message ON true ORDER BY delivery.id"
    )
    before = db.session.execute(kept).all()
    assert len(before) == 2
    assert migrate(any_app, "downgrade", "0013")
    assert {
        "feedback_conversation",
        "feedback_reply",
        "feedback_answered",
        "push_audience",
        "push_follower",
    }.isdisjoint(tables())
    assert db.session.execute(kept).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    assert migrate(any_app, "check")
    assert db.session.execute(kept).all() == before
    assert [claimed.id for claimed in claim()] == [row[3] for row in before]  # they are still to be sent
    message, staff = db.session.get_one(Message, message_id), accounts.find(email)
    assert staff
    assert [conversations.of(message), *conversations.replies(message)] == [None]
    conversations.begin(message)
    conversation = conversations.of(message)
    assert conversation
    conversations.follow(conversation, visitors(1)[0], with_text=False)
    conversations.answer(message, staff, "Yes")
    db.session.commit()
    assert [row.id for row in lists.page(lists.Filter(list="answered", words="yes", tag="bug")).messages] == [
        message_id
    ]
    assert migrate(any_app, "downgrade", "0013")  # the earlier release has no place for visitors' devices
    assert db.session.execute(text("SELECT state FROM feedback_message")).scalars().all() == ["read"]
    assert db.session.execute(text("SELECT count(*) FROM push_subscription")).scalar() == 2
    assert db.session.execute(text("SELECT count(*) FROM push_outbox WHERE kind = 'answer'")).scalar() == 0
    db.session.rollback()
    database.upgrade(any_app)
