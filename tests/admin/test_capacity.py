"""admin/capacity.py: the dashboard warns about low disk space and full limits, and is otherwise silent."""

from dataclasses import replace

from flask import Flask

from feedback_push import disk
from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.feedback import daily_counts, inbox
from feedback_push.feedback.daily_counts import Count
from tests.conftest import PASSWORD
from tests.feedback.messages import message
from tests.visits import Visitor


def told(client: Visitor) -> list[str]:
    return [element.words for element in client.read("/admin/").elements if "data-capacity" in element.attributes]


def test_the_inbox_says_what_is_running_out_and_what_was_not_done(app: Flask, client: Visitor, staff: User) -> None:
    client.sign_in(staff.email, PASSWORD)
    assert told(client) == []
    inbox.receive(message(), notify=False)
    daily_counts.add(Count.SPAM_REMOVED, 300)
    db.session.commit()
    free = disk.free_mb()
    assert free
    app.extensions["settings"] = replace(app.extensions["settings"], min_free_disk_mb=free * 3 // 4)
    low, unnotified, removed = told(client)
    assert "Disk space is low" in low
    assert "1 message caused no notification" in unnotified
    assert "NOTIFICATION_DAILY_LIMIT: 500" in unnotified
    assert "300 oldest messages" in removed
    app.extensions["settings"] = replace(app.extensions["settings"], min_free_disk_mb=free * 2)
    assert "Only short messages are accepted" in told(client)[0]
