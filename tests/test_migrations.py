"""The migrations make the schema that the models describe, in both directions, and one machine at a time."""

from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import create_engine, inspect, select, text

from feedback_push import database, event_counts, private_links, secret_rotation
from feedback_push.alarms import drills, incidents, schedule
from feedback_push.alarms.models import Alarm
from feedback_push.auth import accounts, api_keys, sessions, sign_in_links
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.models import Role, User
from feedback_push.database import Base, db, utcnow
from feedback_push.feedback import (
    assignments,
    conversations,
    form_loads,
    lists,
    note_sending,
    notes,
    saved_searches,
    site_forms,
    tags,
)
from feedback_push.feedback.models import Conversation, Message, MessageState
from feedback_push.push import outbox
from feedback_push.push.models import Delivery, OutboxEntry, Subscription
from feedback_push.topics import broadcasts, feed_entries, feeds, results, topics
from feedback_push.topics.feed_document import Entry
from feedback_push.topics.models import Broadcast
from feedback_push.webhooks.models import Target, Wanted
from tests import servers
from tests.api.page import SHOP, OtherPage
from tests.environment import environment_of
from tests.feedback.messages import own_form, receive
from tests.program import Program
from tests.push.devices import owner, unreachable_devices, visitors
from tests.push.notes import NOTE, announce, claim, fan_out
from tests.topics.followed import DRAFT, all_sent, fanned_out, new_topic, started
from tests.visitors.conversations import begun, conversation_of
from tests.webhooks.receivers import new_target

pytestmark = pytest.mark.slow

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
    """The rows in the tables of later tests change no definition, so this test alone compares the schema."""
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
    assert receive(content="Ā").size == 2


@only_on_postgresql
def test_of_several_machines_that_migrate_at_once_each_waits_for_its_turn(any_app: Flask, tmp_path: Path) -> None:
    assert migrate(any_app, "downgrade", "base")
    another = create_engine(any_app.extensions["settings"].database_url, isolation_level="AUTOCOMMIT")
    with another.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(hashtext('feedback_push.migrations'))"))
        environment = environment_of(any_app.extensions["settings"])
        command = ["flask", "--app", "wsgi", "db", "upgrade"]
        with Program(command, tmp_path / "log", environment, is_preloaded=True) as waiting:
            queue = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
            servers.wait_until(lambda: connection.execute(queue).scalar() == 1, 60, "the wait for a turn")
            assert tables() == set()
            connection.execute(text("SELECT pg_advisory_unlock_all()"))
            waiting.process.wait(60)
            assert waiting.process.poll() == 0
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
    assert sign_in_links.use(code) == (user, False)


def test_sessions_and_links_of_before_second_factors_go_on_but_count_as_no_fresh_proof(any_app: Flask) -> None:
    user = owner()
    sessions.begin(user, browser="Browser", remembered=True)
    code = sign_in_links.make(user, without_second_factor=True).partition("#")[2]
    db.session.commit()
    token = user.token
    assert migrate(any_app, "downgrade", "0029")
    assert "auth_passkey" not in tables()
    database.upgrade(any_app)
    session = sessions.find(token)
    assert session
    assert session.authenticated_at is None
    assert not sessions.is_fresh(session.user)
    assert sign_in_links.use(code) == (session.user, False)  # an earlier link replaces the password only


def test_messages_of_before_get_tags_and_an_assignee_and_are_still_found(any_app: Flask) -> None:
    message_id, email = receive(content="Grüße").id, owner().email
    db.session.commit()
    assert migrate(any_app, "downgrade", "0011")
    assert "feedback_tag" not in tables()
    assert db.session.scalars(text("SELECT id FROM feedback_message")).all() == [message_id]
    db.session.rollback()
    database.upgrade(any_app)
    staff = accounts.find(email)
    assert staff
    tags.add(message_id, ["bug"])
    assert assignments.assign(message_id, staff.id)
    saved_searches.save(staff, "Bugs", {"tag": "bug"})
    db.session.commit()
    [row] = lists.page(lists.Filter(words="gruss", tag="BUG", assignee=staff.id)).messages
    assert (row.id, row.tags) == (message_id, "bug")
    owner("second@example.org")
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


def test_notifications_and_followers_of_before_stay_and_topics_can_be_followed(any_app: Flask) -> None:
    message = receive(content="Hello")
    conversations.begin(message)
    conversation = conversations.of(message)
    assert conversation
    [device] = visitors(1)
    conversations.follow(conversation, device, with_text=True)
    entry = outbox.enqueue(NOTE, audience_id=conversation.audience_id)
    db.session.commit()
    entry_id = entry.id
    kept = text(
        "SELECT entry.id, entry.payload, entry.expires_at, follower.audience_id, follower.subscription_id, "
        "follower.shows FROM push_outbox AS entry JOIN push_follower AS follower USING (audience_id)"
    )
    before = db.session.execute(kept).all()
    assert len(before) == 1
    assert migrate(any_app, "downgrade", "0015")
    assert {"topics_topic", "topics_broadcast"}.isdisjoint(tables())
    assert db.session.execute(kept).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    assert db.session.execute(kept).all() == before
    assert fan_out(entry_id) == 1
    assert [claimed.subscription_id for claimed in claim()] == [device]
    new_topic("tricks", device)
    assert migrate(any_app, "downgrade", "0015")
    assert db.session.execute(kept).all() == before  # without the follower of the topic
    db.session.rollback()
    database.upgrade(any_app)


def test_topics_and_broadcasts_of_before_stay_and_can_have_a_feed(any_app: Flask) -> None:
    [device] = visitors(1)
    started(new_topic("tricks", device))
    rows = text("SELECT topic.id, slug, title, outbox_id FROM topics_broadcast JOIN topics_topic AS topic ON true")
    before = db.session.execute(rows).all()
    assert len(before) == 1
    for _ in range(2):  # without a feed, then with one
        assert migrate(any_app, "downgrade", "0016")
        assert {"topics_feed", "topics_feed_entry"}.isdisjoint(tables())
        assert db.session.execute(rows).all() == before
        db.session.rollback()
        database.upgrade(any_app)
        assert db.session.execute(rows).all() == before
        feed = feeds.put(topics.everything()[0], "https://example.org/feed", is_automatic=True)
        feed_entries.remember(feed, [Entry("1", "", "Old", "", None)])
        [seen] = feed_entries.remember(feed, [Entry("2", "", "New", "", None)])
        seen.row.broadcast_id = feed.held_id = db.session.query(Broadcast.id).scalar()
        db.session.commit()


def test_messages_and_notifications_of_before_stay_and_belong_to_the_default_form(any_app: Flask) -> None:
    unreachable_devices(owner(), 1)
    message_id = receive(content="Grüße").id
    rows = text(
        "SELECT message.id, content, search_text, entry.payload, entry.kind FROM feedback_message AS message "
        "JOIN push_outbox AS entry ON entry.id = outbox_id"
    )
    before = db.session.execute(rows).all()
    assert [row.id for row in before] == [message_id]
    assert migrate(any_app, "downgrade", "0015")
    assert not {name for name in tables() if name.startswith(("feedback_form", "feedback_site"))}
    assert db.session.execute(rows).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    assert db.session.execute(rows).all() == before
    assert [row.id for row in lists.page(lists.Filter(words="gruss")).messages] == [message_id]
    assert db.session.get_one(Message, message_id).form_key is None
    own_form()
    receive(form_key="shop", category="Bug", answers=[{"question": "Why?", "answer": "Because"}])
    assert [row.beginning for row in lists.page(lists.Filter(words="becau")).messages] == ["Hello"]
    assert migrate(any_app, "downgrade", "0015")
    assert db.session.execute(text("SELECT count(*) FROM feedback_message")).scalar() == 2
    db.session.rollback()
    database.upgrade(any_app)


def test_answers_of_before_stay_and_a_note_can_be_sent_to_their_messages(any_app: Flask) -> None:
    user, [device] = owner(), visitors(1)
    message = receive(content="Hello")
    conversations.begin(message)
    conversation = conversations.of(message)
    assert conversation
    conversations.follow(conversation, device, with_text=True)
    conversations.answer(message, user, "Yes")
    db.session.commit()
    message_id = message.id
    kept = text("SELECT id, message_id, is_answer, user_id, content, outbox_id FROM feedback_reply ORDER BY id")
    before = db.session.execute(kept).all()
    assert len(before) == 1
    assert migrate(any_app, "downgrade", "0016")
    assert {"feedback_note", "feedback_note_recipient"}.isdisjoint(tables())
    assert db.session.execute(kept).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    assert db.session.execute(kept).all() == before
    note = notes.draft(db.session.query(User).one(), [message_id], {})
    notes.write(note, "It works again", marks_answered=False)
    notes.send(note)
    note_sending.run()
    assert [reply.content for reply in conversations.replies(db.session.get_one(Message, message_id))] == [
        "Yes",
        "It works again",
    ]
    db.session.rollback()
    assert migrate(any_app, "downgrade", "0016")  # the note stays as an answer
    assert len(db.session.execute(kept).all()) == 2
    db.session.rollback()
    database.upgrade(any_app)


def test_broadcasts_of_before_stay_and_those_that_are_over_are_counted(any_app: Flask) -> None:
    topic = new_topic("tricks", *visitors(1))
    over, running = started(topic), started(topic)
    waits = broadcasts.add(topic, DRAFT, form_token="a" * 32)
    fanned_out(over)
    all_sent(over)
    broadcasts.finish(utcnow())
    db.session.commit()
    ids = (over.id, running.id, waits.id)
    kept = text("SELECT id, title, started_at, finished_at, outbox_id FROM topics_broadcast ORDER BY id")
    before = db.session.execute(kept).all()
    assert migrate(any_app, "downgrade", "0016")
    assert db.session.execute(kept).all() == before
    db.session.rollback()
    database.upgrade(any_app)
    results.count_due(utcnow())
    db.session.commit()
    counted = {broadcast.id: broadcast.results is not None for broadcast in db.session.query(Broadcast)}
    assert counted == dict(zip(ids, (True, False, False), strict=True))


def test_accounts_of_before_stay_and_can_have_api_keys(any_app: Flask) -> None:
    user = owner()
    sessions.begin(user, browser="Browser", remembered=True)
    api_keys.make(user, "Tickets", [Scope.READ])
    db.session.commit()
    assert migrate(any_app, "downgrade", "0021")
    assert migrate(any_app, "downgrade")  # by one
    assert {"auth_api_key", "api_idempotent_request"}.isdisjoint(tables())
    database.upgrade(any_app)
    user = db.session.scalars(select(User)).one()
    assert (len(sessions.of(user)), api_keys.of(user)) == (1, [])
    token = api_keys.make(user, "Tickets", [Scope.READ])
    db.session.commit()
    assert api_keys.find(token)


def test_forms_of_before_stay_and_remember_the_sites_that_load_them(any_app: Flask) -> None:
    own_form(origins=[SHOP])
    message_id = receive(content="Hello").id
    assert migrate(any_app, "downgrade", "0023")
    assert "feedback_form_load" not in tables()
    db.session.rollback()
    database.upgrade(any_app)
    assert OtherPage(any_app).fetch("GET", "shop").status_code == 200
    form = site_forms.find("shop")
    assert form
    assert [origin for origin, _ in form_loads.recent(form)] == [SHOP]
    message = db.session.get_one(Message, message_id)
    assert (message.content, message.viewport, message.language) == ("Hello", None, None)


def test_accounts_of_before_become_owners_and_keep_all_they_have(any_app: Flask) -> None:
    user = owner()
    sessions.begin(user, browser="Browser", remembered=True)
    unreachable_devices(user, 2)
    announce()
    rows = text(
        "SELECT auth_user.id, email, session.token_hash, device.endpoint, entry.payload "
        "FROM auth_user JOIN auth_session AS session ON true JOIN push_subscription AS device ON true "
        "JOIN push_outbox AS entry ON true"
    )
    before = sorted(db.session.execute(rows).all())
    assert len(before) == 2
    assert migrate(any_app, "downgrade", "0032")
    assert migrate(any_app, "downgrade")  # by one
    assert {"auth_invitation", "auth_reset_link", "auth_notice"}.isdisjoint(tables())
    assert sorted(db.session.execute(rows).all()) == before
    db.session.rollback()
    database.upgrade(any_app)
    assert sorted(db.session.execute(rows).all()) == before
    user = db.session.scalars(select(User)).one()
    assert (user.role, user.name, user.is_owner) == (Role.OWNER, "", True)
    assert len(claim()) == 2


def test_the_figures_of_the_last_days_are_counted_from_what_is_stored(any_app: Flask) -> None:
    unreachable_devices(owner(), 3)
    receive(content="Hello")
    receive(content="Buy now", state=MessageState.SPAM)
    announce()
    now = utcnow()
    batch = claim()
    for claimed, seconds in zip(batch, (2.9, 700, None), strict=True):
        delivery = db.session.get_one(Delivery, claimed.id)
        delivery.accepted_at = now
        delivery.shown_at = now + timedelta(seconds=seconds) if seconds else None
        delivery.entry.created_at = now
    db.session.commit()
    assert migrate(any_app, "downgrade", "0025")
    database.upgrade(any_app)
    days = {name: event_counts.of_days(name, now.date() - timedelta(days=1)) for name in ("message", "sent", "shown")}
    assert days["message"] == {now.date(): {"": 1}}
    assert days["sent"] == {now.date(): {"": 3}}
    assert days["shown"] == {now.date(): {"3": 1, "1800": 1}}
    event_counts.add_to_days({("sent", now.date(), ""): 1})  # a day that was counted goes on
    assert event_counts.of_days("sent", now.date()) == {now.date(): {"": 4}}
    assert db.session.scalars(select(OutboxEntry.request_id).distinct()).all() == [None]


def test_webhooks_and_alarms_come_to_a_site_with_messages_and_go_with_their_events(any_app: Flask) -> None:
    receive(content="Hello")
    unreachable_devices(owner(), 1)
    announce()
    rows = text("SELECT count(*) FROM feedback_message, push_outbox, push_subscription")
    before = db.session.scalar(rows)
    assert before == 2
    assert migrate(any_app, "downgrade", "0027")
    assert migrate(any_app, "downgrade")  # by one
    assert not [name for name in tables() if name.startswith(("webhooks_", "alarms_"))]
    database.upgrade(any_app)
    assert db.session.scalar(rows) == before
    new_target(url="https://example.org/hook", takes_alarms=True)
    assert drills.start("", utcnow())
    incidents.update_all(Alarm.UNSEEN, {"": {"from": 1}}, utcnow())
    receive()
    assert db.session.scalar(text("SELECT count(*) FROM webhooks_delivery")) == 2
    assert migrate(any_app, "downgrade", "0027")
    assert migrate(any_app, "downgrade")
    database.upgrade(any_app)
    assert db.session.scalar(text("SELECT count(*) FROM feedback_message")) == 2


def test_webhooks_of_before_get_no_replies_until_somebody_wants_them(any_app: Flask) -> None:
    target_id = new_target(url="https://example.org/hook", takes_alarms=True).id
    message, _ = begun()
    message_id = message.id
    rows = text("SELECT id, target_id, message_id, event, webhook_id, state, due_at FROM webhooks_delivery ORDER BY id")
    before = db.session.execute(rows).all()
    assert len(before) == 1
    for _ in range(2):
        assert migrate(any_app, "downgrade", "0036")
        assert "alarms_setting" not in tables()
        db.session.rollback()
        assert db.session.execute(rows).all() == before
        db.session.rollback()
        database.upgrade(any_app)
        assert migrate(any_app, "check")
        conversations.write_again(conversation_of(message_id), "It still does.", notify=True)
        db.session.commit()
        assert db.session.execute(rows).all() == before
        target = db.session.get_one(Target, target_id)
        assert (target.wanted, target.wanted_replies, target.takes_notifications) == ("every", "none", False)
        target.wanted_replies = Wanted.EVERY
        db.session.commit()
        conversations.write_again(conversation_of(message_id), "And now?", notify=True)
        schedule.choose(7)
        db.session.commit()
        assert [row.event for row in db.session.execute(rows)] == ["message.created", "reply.created"]


def test_private_links_of_before_stay_and_a_rotation_keeps_their_key(any_app: Flask) -> None:
    message, link = begun()
    message_id = message.id
    assert migrate(any_app, "downgrade", "0025")
    assert "site_secret" not in tables()
    db.session.rollback()
    database.upgrade(any_app)
    conversation = db.session.get_one(Conversation, message_id)
    assert (conversation.link_key_id, conversations.token_of(conversation)) == (None, link)
    secret_rotation.finish()
    assert conversations.token_of(db.session.get_one(Conversation, message_id)) == link
    assert conversations.renew_link(db.session.get_one(Conversation, message_id)) != link
    db.session.commit()
    assert conversation.link_key_id == private_links.newest_key() is not None


def test_demonstration_data_can_come_to_a_site_with_messages_of_before(any_app: Flask) -> None:
    receive(content="Hello")
    assert migrate(any_app, "downgrade", "0036")
    assert migrate(any_app, "downgrade")  # by one
    assert "demo_data" not in tables()
    assert db.session.scalar(text("SELECT content FROM feedback_message")) == "Hello"
    db.session.rollback()
    database.upgrade(any_app)
    for option in ("--beside-real-messages", "--remove"):
        assert any_app.test_cli_runner().invoke(args=["demo", option]).exit_code == 0
    assert db.session.scalars(text("SELECT content FROM feedback_message")).all() == ["Hello"]
