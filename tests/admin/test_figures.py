"""The page of figures: counts by day, the share shown and the median, as bars and as a table."""

from collections import Counter
from datetime import timedelta

import pytest
from flask import Flask

from feedback_push import event_counts
from feedback_push.admin.figures import median
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.push.answers import SHOWN_WITHIN
from tests.conftest import PASSWORD
from tests.feedback.messages import in_spam, receive
from tests.visits import Visitor


@pytest.fixture
def dashboard(client: Visitor, staff: User) -> Visitor:
    client.sign_in(staff.email, PASSWORD)
    return client


def test_without_events_there_is_nothing_to_draw_and_no_share(dashboard: Visitor) -> None:
    page = dashboard.read("/admin/figures")
    assert [element.words for element in page.all("dd")][:3] == ["0", "–", "–"]  # noqa: RUF001
    assert page.all("rect") == []


def test_messages_are_counted_without_spam_and_what_is_shown_by_the_day_of_its_message(dashboard: Visitor) -> None:
    receive()
    receive()
    in_spam()
    today = utcnow().date()
    event_counts.add_to_days(
        {
            ("message", today - timedelta(days=29), ""): 3,
            ("message", today - timedelta(days=30), ""): 1000,  # too old
            ("sent", today, ""): 8,
            ("shown", today, "2"): 4,
            ("shown", today - timedelta(days=3), "300"): 2,
        }
    )
    db.session.commit()
    page = dashboard.read("/admin/figures")
    assert [element.words for element in page.all("dd")][:3] == ["5", "75%", "2 seconds"]
    assert len(page.all("rect")) == 2
    assert "at most 3 messages" in page.one("svg", role="img").attributes["aria-label"]
    rows = [element.words for element in page.all("td")]
    assert len(rows) == 3 * 30
    assert rows[:3] == ["2", "50%", "2 seconds"]
    assert rows[9:12] == ["0", "–", "4 minutes"]  # noqa: RUF001
    assert rows[-3:] == ["3", "–", "–"]  # noqa: RUF001


def test_the_median_lies_within_its_bucket(app: Flask) -> None:
    assert median(Counter(), SHOWN_WITHIN) is None
    assert median(Counter({"2": 1}), SHOWN_WITHIN) == 1.75
    assert median(Counter({"1": 10, "2": 10, "60": 20}), SHOWN_WITHIN) == 2
    assert median(Counter({"1": 1, "+Inf": 5}), SHOWN_WITHIN) == float("inf")
