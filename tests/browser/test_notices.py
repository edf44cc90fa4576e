"""A notice of a new sign-in in a real Firefox: it is shown, and “This was not me” ends that session."""

from urllib.parse import urlsplit

from feedback_push.auth import accounts
from feedback_push.auth.models import Session
from feedback_push.database import db
from tests.browser.dashboard import STAFF, Dashboard
from tests.conftest import PASSWORD
from tests.sessions import Staff


def test_a_strange_sign_in_is_shown_at_once_and_ended_from_its_notification(dashboard: Dashboard) -> None:
    browser, site = dashboard.browser, dashboard.site
    dashboard.sign_in()
    dashboard.turn_on()
    browser.open("about:blank")
    with Staff(site.settings) as thief:
        assert thief.sign_in(STAFF, PASSWORD).url == site.dashboard
        alert = browser.alert("New sign-in to your account")
        assert alert.body == "Browser"
        browser.click_alert("New sign-in to your account")
        browser.switch_to_newest_tab()
        button = browser.wait_for("#notice form[action$='not-me'] button")
        assert urlsplit(browser.url).path.startswith("/admin/notices/")
        browser.wait_for(lambda: browser.script("return document.readyState") == "complete")
        button.click()
        said = browser.wait_for("main .done").text
        assert said.startswith("The session of Browser has ended. Now change your password")
        assert browser.find("#password").is_displayed
        assert urlsplit(thief.get("/admin/").url).path == "/login"
    with site.database():
        user = accounts.find(STAFF)
        assert user
        assert [session.user_id for session in db.session.query(Session)] == [user.id]
