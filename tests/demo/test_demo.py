"""The command `demo`: what it adds, that it says so, and that its removal leaves everything else as it was."""

from collections import Counter
from datetime import timedelta
from typing import Any

from click.testing import Result
from flask import Flask
from sqlalchemy import inspect, text

from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.demo import filling
from feedback_push.feedback import conversations, lists, purge, saved_searches, site_forms, tags
from feedback_push.feedback.models import Message, MessageState, Reply
from feedback_push.push import followers
from feedback_push.push.models import OutboxEntry, PreviewLevel, Subscription
from feedback_push.topics import feeds, history, topics
from feedback_push.topics.models import BroadcastState, Topic
from tests.conftest import PASSWORD
from tests.feedback.messages import own_form, receive
from tests.push.devices import owner, visitors
from tests.topics.followed import new_topic, started
from tests.visits import Visitor

_COMMAND = "flask --app wsgi demo --remove"
_COUNTERS = {"sqlite_sequence", "event_day", "event_total"}  # ids that were used, and events that happened


def run(app: Flask, *options: str) -> Result:
    """Run the command in a process of its own, as far as the database can tell."""
    db.session.remove()
    return app.test_cli_runner().invoke(args=["demo", *options])


def everything() -> dict[str, list[Any]]:
    """Return all rows of all tables."""
    db.session.rollback()
    names = set(inspect(db.engine).get_table_names()) - _COUNTERS
    names = {name for name in names if not name.startswith("feedback_search")}
    rows = {name: sorted(map(repr, db.session.execute(text(f'SELECT * FROM "{name}"')))) for name in names}  # noqa: S608
    db.session.rollback()
    return rows


def test_it_fills_the_site_once_and_notifies_nobody(any_app: Flask) -> None:
    owner()
    first = run(any_app)
    assert first.exit_code == 0
    assert "60 messages" in first.output
    assert _COMMAND in first.output
    filled = everything()
    assert "already" in run(any_app).output
    assert everything() == filled
    assert not [*db.session.query(OutboxEntry), *db.session.query(Subscription)]
    messages = db.session.query(Message).order_by(Message.id).all()
    assert set(Counter(message.state for message in messages)) == set(MessageState)
    assert Counter(message.language for message in messages) == {"en": 20, "de": 20, "lt": 20}
    times = [message.created_at for message in messages]
    assert times == sorted(times)
    assert timedelta(days=85) < utcnow() - times[0] < timedelta(days=90)
    assert utcnow() - times[-1] < timedelta(hours=1)
    assert all(reply.created_at < utcnow() for reply in db.session.query(Reply))
    assert len(lists.page(lists.Filter(list="answered", words="pedal")).messages) == 1  # a word of the answer, too
    assert [search.name for search in saved_searches.of(db.session.query(User).one())] == [filling.SEARCH]
    [topic] = topics.everything()
    assert not topic.is_public
    sent = history.page(topic).broadcasts
    assert {each.state for each in sent} == {BroadcastState.DONE}
    for broadcast in sent:
        services = (broadcast.results or {})["services"].values()
        assert (
            0 < sum(each["shown"] for each in services) < sum(each["sent"] for each in services) <= broadcast.followers
        )


def test_what_it_adds_is_as_if_people_had_written_and_administrators_had_answered(app: Flask) -> None:
    user_id = owner().id
    run(app)
    messages = db.session.query(Message).all()
    unread = {message.state for message in messages if message.read_at is None}
    assert unread == {MessageState.NEW, MessageState.SPAM}
    assert not [message for message in messages if message.read_at and message.state in unread]
    assert all(conversations.of(message) for message in messages)
    of_form = [message for message in messages if message.form_key == "demo"]
    assert {bool(message.category) for message in of_form} == {True}
    assert {message.rating for message in of_form} > {"1", "5"}
    assert lists.page(lists.Filter(tag="Website")).messages  # which the saved search finds
    answered = [message for message in messages if conversations.replies(message)]
    for message in answered:
        sides = [reply.is_answer for reply in conversations.replies(message)]
        assert sides == [place % 2 == 0 for place in range(len(sides))]  # an answer, a reply, an answer
        assert {reply.user_id for reply in conversations.replies(message)} <= {user_id, None}
    by = [conversations.answered(message) for message in messages if message.state == MessageState.ANSWERED]
    assert {each.user_id for each in by if each} == {user_id}
    assert any(len(conversations.replies(message)) > 1 for message in answered)


def test_nobody_in_it_can_be_a_real_person(app: Flask) -> None:
    run(app)
    messages = db.session.query(Message).all()
    named = [message for message in messages if message.submitter_name]
    assert len(named) < len(messages) / 2
    assert not [message for message in named if " " in message.submitter_name]
    domains = {message.submitter_email.partition("@")[2] for message in messages}
    assert domains <= {"", "example.org", "example.com"}


def test_the_workers_clean_up_takes_none_of_it(app: Flask) -> None:
    run(app)
    purge.remove_old(utcnow())
    purge.bound_spam(utcnow())
    topics.delete_removed(utcnow())
    db.session.commit()
    assert db.session.query(Message).count() == 60


def test_it_refuses_where_real_messages_are_unless_told_to(app: Flask) -> None:
    receive(content="A real one")
    before = everything()
    refused = run(app)
    assert refused.exit_code == 1
    assert "--beside-real-messages" in refused.output
    assert everything() == before
    assert run(app, "--beside-real-messages").exit_code == 0
    assert db.session.query(Message).count() == 61


def test_its_removal_leaves_everything_else_as_it_was(any_app: Flask) -> None:
    user = owner()
    own_form("demo")
    message = receive(content="A real one", form_key="demo")
    conversations.begin(message)
    tags.add(message.id, ["Website", "mine"])
    saved_searches.save(user, filling.SEARCH, {"tag": "mine"})
    started(new_topic("demo", *visitors(1)))
    db.session.commit()
    before = everything()
    assert run(any_app, "--beside-real-messages").exit_code == 0
    assert everything() != before
    # Administrators work with it as if it were real.
    user = db.session.query(User).one()
    answered = db.session.query(Message).filter_by(state=MessageState.NEW, language="lt").first()
    assert answered
    conversation = conversations.of(answered)
    assert conversation
    [device] = visitors(1)
    conversations.follow(conversation, device, with_text=True)
    assert conversations.answer(answered, user, "Yes")
    assert conversations.write_again(conversation, "Thanks", notify=True)
    tags.add(answered.id, ["only there"])
    db.session.commit()
    removed = run(any_app, "--remove")
    assert removed.exit_code == 0
    assert "Kept" not in removed.output
    db.session.execute(text("DELETE FROM push_subscription WHERE id = :id"), {"id": device})  # the visitor's own
    db.session.commit()
    assert everything() == before
    assert "no demonstration data" in run(any_app, "--remove").output
    assert run(any_app, "--beside-real-messages").exit_code == 0


def test_a_form_and_a_topic_that_real_people_use_stay(app: Flask) -> None:
    def follow(topic: Topic) -> None:
        followers.follow(visitors(1)[0], {topic.audience_id: PreviewLevel.ALL})

    def broadcast(topic: Topic) -> None:
        started(topic)

    def read_feed(topic: Topic) -> None:
        feeds.put(topic, "https://example.org/feed.atom", is_automatic=False)

    run(app)
    receive(content="A real one", form_key="demo")
    for kept, use in enumerate((follow, broadcast, read_feed), 1):
        [topic] = [each for each in topics.everything() if history.page(each).broadcasts[6:]]  # of the demonstration
        use(topic)
        db.session.commit()
        assert run(app, "--remove").output.count("Kept") == (2 if kept == 1 else 1), use
        assert [message.content for message in db.session.query(Message)] == ["A real one"]
        assert site_forms.stored("demo")
        assert [len(history.page(each).broadcasts) for each in topics.everything()].count(0) == kept - (kept > 1)
        assert len(topics.everything()) == kept
        assert run(app, "--beside-real-messages").exit_code == 0


def test_each_page_of_the_dashboard_says_so(app: Flask, client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    run(app)
    values: dict[str, Any] = {"message_id": 60, "slug": "demo", "broadcast_id": 1, "key": "demo"}
    seen = 0
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("admin.") and "GET" in (rule.methods or ()) and rule.arguments <= values.keys():
            with app.test_request_context():
                address = app.url_for(rule.endpoint, **{name: values[name] for name in rule.arguments})
            answer = client.get(address)
            page = answer.get_data(as_text=True) if answer.mimetype == "text/html" else ""
            if answer.status_code == 200 and 'class="bar"' in page:  # error pages ask the database nothing
                seen += 1
                assert f'<code dir="ltr">{_COMMAND}</code>' in page, rule.endpoint
    assert seen > 20
    assert run(app, "--remove").exit_code == 0
    assert 'id="demo"' not in client.get("/admin/").get_data(as_text=True)
