"""The doctor's page: the checks of the site itself at once, those of the connections with a button."""

from flask import Flask

from feedback_push.auth.models import User
from feedback_push.database import db
from feedback_push.push import heartbeats
from tests.conftest import PASSWORD
from tests.doctor.conftest import front, settings
from tests.doubles.web_site import WebSite
from tests.visits import Visitor

__all__ = ["front", "settings"]


def test_the_page_shows_the_faults_first_and_asks_nobody_until_told_to(
    app: Flask, client: Visitor, staff: User, front: WebSite, redis_url: str
) -> None:
    client.sign_in(staff.email, PASSWORD)
    page = client.read("/admin/doctor")
    assert "No worker is alive" in page.one(id="faults").words
    assert "celery -A celery_worker worker" in page.one(id="faults").words
    assert "Migrations" in page.one(id="checks").words
    assert front.requests == []
    heartbeats.beat("celery@<here>")
    db.session.commit()
    shown = client.send("/admin/doctor").get_data(as_text=True)
    assert "The site answers at SITE_URL." in shown
    assert "celery@&lt;here&gt;" in shown
    assert "No worker is alive" not in shown
    assert {path for path, _ in front.requests} == {"/healthz", "/admin/sw.js", "/visitor/sw.js"}
    for secret in (app.extensions["settings"].secret_key, app.extensions["settings"].vapid_private_key):
        assert secret not in shown
