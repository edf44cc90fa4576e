"""The pages of accounts in the states that other tests do not show: links just made, invitations, notices."""

import pytest
from playwright.sync_api import BrowserContext

from feedback_push.auth import notices
from feedback_push.auth.models import NoticeEvent, User
from feedback_push.database import db
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import EVERY_VIEW, PHONE, Walker, sign_in


@pytest.mark.parametrize("language", ["en", "de"])  # as in test_states.py
def test_links_invitations_and_notices_are_as_they_should_be(
    context: BrowserContext, site: Site, language: str
) -> None:
    walker, views = Walker(context, language, "accounts"), EVERY_VIEW if language == "en" else [PHONE]
    page = walker.page
    walker.start()
    sign_in(page)
    page.goto("/admin/accounts")
    page.fill("#email", f"{language}@example.org")
    with page.expect_navigation():
        page.click("#invite button[type=submit]")
    walker.look("invited", views)
    invitation = page.inner_text("#account-link")
    with page.expect_navigation():
        page.click("[data-account='member@example.org'] form[action$='reset-link'] button")
    walker.look("reset-link", views)
    page.click("[data-account='member@example.org'] details summary")
    walker.view("remove", views)
    page.goto(invitation)
    page.wait_for_selector("#next-steps")
    walker.look("other-account", views, status=409)
    with site.database():
        staff = db.session.query(User).filter_by(email=fixtures.STAFF).one()
        notices.tell(staff, NoticeEvent.RESET_LINK_MADE, by="Grace Hopper")
        db.session.commit()
    page.goto("/admin/devices")
    walker.look("banner", views)
    with page.expect_navigation():
        page.click("#security-notice a")
    walker.look("notice", views)
    with page.expect_navigation():
        page.click("#notice form[action$='seen'] button")
    context.clear_cookies()
    page.goto(invitation)
    page.wait_for_selector("#password")
    walker.look("invitation", views)
    page.fill("#password", "short")
    with page.expect_navigation():
        page.click("main form button[type=submit]")
    walker.look("invitation-refused", views, status=422)
    page.goto("/login/reset#made-up")
    page.wait_for_selector("#next-steps")
    walker.look("refused", views, status=422)
    assert walker.complaints == []
