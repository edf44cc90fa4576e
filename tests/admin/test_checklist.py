"""admin/checklist.py: an empty inbox shows the first steps, and which of them are done."""

from feedback_push.auth import sessions
from feedback_push.auth.models import User
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import MessageState
from feedback_push.push.models import DeviceState
from tests.admin.rows import device
from tests.conftest import make_user
from tests.feedback.messages import receive
from tests.visits import Page, Visitor

STEPS = ["notifications", "phone", "form", "message"]


def done(page: Page) -> list[str]:
    """Return the done steps as a screen reader reads them."""
    steps = [item for item in page.all("li") if "data-step" in item.attributes]
    assert [step.attributes["data-step"] for step in steps] == STEPS
    assert [step.words.startswith("Done:") for step in steps] == ["data-done" in step.attributes for step in steps]
    return [step.attributes["data-step"] for step in steps if "data-done" in step.attributes]


def test_a_new_site_has_everything_to_do_and_links_to_each_step(dashboard: Visitor) -> None:
    page = dashboard.read("/admin/")
    assert done(page) == []
    form = "http://127.0.0.1:8000/feedback/"
    for words, address in {
        "Turn on notifications": "/admin/devices",
        "Show QR code": "/admin/devices#phone",
        "Write one yourself": form,
    }.items():
        assert [link.attributes["href"] for link in page.all("a") if link.words == words] == [address]
    assert page.one("code", id="link-tag").words == f'<a href="{form}">Give feedback</a>'


def test_each_step_is_done_by_what_has_happened(dashboard: Visitor, staff: User) -> None:
    laptop = device(staff, paused_at=utcnow())
    device(staff, name="Chrome on Android", state=DeviceState.GONE, gone_at=utcnow())
    receive(state=MessageState.SPAM)
    assert done(dashboard.read("/admin/")) == []
    laptop.paused_at = None
    db.session.commit()
    assert done(dashboard.read("/admin/")) == ["notifications"]
    sessions.begin(staff, browser="Safari on iPhone", remembered=True)
    db.session.commit()
    assert done(dashboard.read("/admin/")) == ["notifications", "phone"]
    receive(state=MessageState.ARCHIVED, user_id=staff.id)
    assert done(dashboard.read("/admin/")) == ["notifications", "phone", "message"]
    receive(state=MessageState.ARCHIVED)
    page = dashboard.read("/admin/")
    assert page.all("li", data_step="form") == []  # nothing is left to do
    assert "The inbox is empty" in page.one(id="empty").words


def test_another_administrators_phone_is_not_ones_own(dashboard: Visitor, staff: User) -> None:
    device(make_user("ada@example.org"), name="Chrome on Android")
    assert done(dashboard.read("/admin/")) == []
    device(staff, name="Chrome on Android")
    assert done(dashboard.read("/admin/")) == ["notifications", "phone"]
