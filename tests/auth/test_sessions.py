"""auth/sessions.py: begin, renew and end sessions."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from feedback_push.auth import sessions
from feedback_push.auth.models import Session, User
from feedback_push.database import db, utcnow
from tests.conftest import make_user

EMAIL = "ada@example.org"
BROWSER = "Firefox on Linux"


@pytest.fixture
def user(app: object) -> User:
    return make_user(EMAIL)


def begin(user: User, *, remembered: bool = False, browser: str = BROWSER) -> str:
    """Begin a session and return its token."""
    sessions.begin(user, browser=browser, remembered=remembered)
    db.session.commit()
    return user.token


def shift(**columns: timedelta) -> None:
    """Let time pass by moving the times of every session."""
    now = utcnow()
    db.session.execute(update(Session).values({name: now + by for name, by in columns.items()}))
    db.session.commit()


def test_a_token_is_its_users_and_no_other(user: User) -> None:
    other = make_user("bob@example.org")
    tokens = [begin(user), begin(user), begin(other)]
    assert [found.user if (found := sessions.find(token)) else None for token in tokens] == [user, user, other]
    for nobodys in (
        "",
        tokens[0][:-1],
        f"{tokens[0]} ",
        tokens[0].swapcase(),
        "\udfff".encode(errors="replace").decode(),
    ):
        assert sessions.find(nobodys) is None


def test_stored_hashes_do_not_sign_in(user: User) -> None:
    token = begin(user)
    stored = [str(value) for value in db.session.execute(text("SELECT * FROM auth_session")).one()]
    assert token not in stored
    assert [sessions.find(value) for value in stored] == [None] * len(stored)


def test_a_session_found_knows_its_token_for_the_cookies(user: User) -> None:
    token = begin(user)
    begin(user)
    found = sessions.find(token)
    assert found
    assert found.user.get_id() == token


@pytest.mark.parametrize(("remembered", "lasts"), [(True, timedelta(days=14)), (False, timedelta(hours=12))])
def test_a_session_ends_some_time_after_the_last_visit(user: User, remembered: bool, lasts: timedelta) -> None:
    token = begin(user, remembered=remembered)
    session = sessions.find(token)
    assert session
    assert abs(session.expires_at - utcnow() - lasts) < timedelta(minutes=1)
    shift(last_seen_at=-timedelta(hours=1), expires_at=timedelta(seconds=30))
    session = sessions.find(token)
    assert session
    assert sessions.record_visit(session)
    db.session.commit()
    assert abs(session.expires_at - utcnow() - lasts) < timedelta(minutes=1)
    assert abs(session.last_seen_at - utcnow()) < timedelta(minutes=1)
    shift(expires_at=-timedelta(seconds=1))
    assert sessions.find(token) is None
    assert sessions.of(user) == []


@pytest.mark.parametrize(("remembered", "lasts"), [(True, timedelta(days=90)), (False, timedelta(hours=24))])
def test_no_visit_lets_a_session_last_longer_than_it_may_from_signing_in(
    user: User, remembered: bool, lasts: timedelta
) -> None:
    token = begin(user, remembered=remembered)
    shift(last_seen_at=-timedelta(hours=1), created_at=timedelta(hours=1) - lasts)
    session = sessions.find(token)
    assert session
    assert sessions.record_visit(session)
    db.session.commit()
    assert session.expires_at == sessions.latest_end(session) == session.created_at + lasts
    shift(last_seen_at=-timedelta(hours=1), created_at=-lasts)
    session = sessions.find(token)
    assert session
    assert sessions.record_visit(session)
    db.session.commit()
    assert sessions.find(token) is None


@pytest.mark.usefixtures("any_app")
def test_an_account_has_so_many_sessions_and_the_one_seen_longest_ago_goes_first(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "_MOST", 3)
    other = begin(make_user("bob@example.org"))
    first, second, third = [begin(user) for _ in range(3)]
    shift(last_seen_at=-timedelta(minutes=10))
    session = sessions.find(first)
    assert session
    assert sessions.record_visit(session)
    db.session.commit()
    fourth = begin(user)
    assert sessions.find(second) is None
    assert all(sessions.find(token) for token in (first, third, fourth, other))


def test_a_visit_is_written_down_every_few_minutes_only(user: User) -> None:
    session = sessions.find(begin(user))
    assert session
    assert not sessions.record_visit(session)
    shift(last_seen_at=-timedelta(minutes=4))
    assert not sessions.record_visit(session)
    shift(last_seen_at=-timedelta(minutes=6))
    assert sessions.record_visit(session)


@pytest.mark.usefixtures("any_app")
def test_a_visit_does_not_bring_back_what_somebody_has_just_ended(user: User) -> None:
    session = sessions.find(token := begin(user))
    assert session
    session.last_seen_at = utcnow() - timedelta(hours=1)
    db.session.commit()
    db.session.refresh(session)
    db.session.execute(text("DELETE FROM auth_session"))
    assert sessions.record_visit(session)
    db.session.commit()
    assert sessions.find(token) is None


def test_sessions_are_listed_the_latest_visit_first_and_the_own_one_is_known(user: User) -> None:
    names = ["Firefox on Linux", "Safari on iPhone", "Chrome on Android"]
    for name in names:
        begin(user, browser=name)
    begin(make_user("bob@example.org"), browser="Edge on Windows")
    listed = sessions.of(user)
    assert [session.browser for session in listed] == names[::-1]
    assert [sessions.is_current(session, user) for session in listed] == [True, False, False]


def test_ending_one_ends_that_one(user: User) -> None:
    first, second = begin(user), begin(user)
    [_, oldest] = sessions.of(user)
    assert sessions.end(oldest.id, user=user) == BROWSER
    assert sessions.find(first) is None
    assert sessions.find(second)


def test_nobody_ends_somebody_elses(user: User) -> None:
    token = begin(user)
    other = make_user("bob@example.org")
    assert sessions.end(sessions.of(user)[0].id, user=other) is None
    assert sessions.end(4711, user=user) is None
    assert sessions.end_all(other) == 0
    assert sessions.find(token)


def test_ending_the_others_keeps_this_one(user: User) -> None:
    theirs = begin(make_user("bob@example.org"))
    others, here = [begin(user), begin(user, remembered=True)], begin(user)
    assert sessions.end_others(user) == 2
    assert [sessions.find(token) for token in others] == [None, None]
    assert sessions.find(here)
    assert sessions.find(theirs)


def test_ending_this_one_keeps_the_others(user: User) -> None:
    other, here = begin(user), begin(user)
    sessions.end_current(user)
    assert sessions.find(here) is None
    assert sessions.find(other)


def test_ending_all_keeps_none(user: User) -> None:
    tokens = [begin(user), begin(user)]
    assert sessions.end_all(user) == 2
    assert [sessions.find(token) for token in tokens] == [None, None]


@pytest.mark.usefixtures("any_app")
def test_what_is_over_goes_away_with_the_next_one(user: User) -> None:
    begin(user)
    shift(expires_at=-timedelta(seconds=1))
    begin(user)
    assert len(db.session.scalars(select(Session)).all()) == 1


def test_a_deleted_account_has_no_sessions(user: User) -> None:
    token = begin(user)
    db.session.delete(user)
    db.session.commit()
    assert sessions.find(token) is None
    assert db.session.scalars(select(Session)).all() == []
