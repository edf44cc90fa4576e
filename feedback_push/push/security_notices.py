"""Send the notices of an account's security to its devices, except those of the session that caused them."""

from sqlalchemy import event, select

from feedback_push.auth import notices
from feedback_push.auth.models import Notice
from feedback_push.database import db
from feedback_push.push import outbox
from feedback_push.push.models import DeviceState, Subscription
from feedback_push.push.notification import NOTICES, Notification
from feedback_push.site_path import absolute_url


@notices.on_tell
def send(notice: Notice) -> None:
    """Enqueue the notification of a notice in the caller's transaction, and wake the workers after its commit.

    It shows the title of the event and the browser, and nothing that would help a thief.
    """
    others = select(Subscription.id).where(Subscription.user_id == notice.user_id)
    if notice.session_id is not None:
        others = others.where(Subscription.session_id.is_distinct_from(notice.session_id))
    if db.session.scalar(others.where(Subscription.state != DeviceState.GONE).limit(1)) is None:
        return
    note = Notification(
        title=str(NOTICES[notice.event].title),
        body=notice.browser,
        navigate=absolute_url("admin.notice", notice_id=notice.id),
        tag=f"notice-{notice.id}",
    )
    entry = outbox.enqueue(note, kind=notice.event, user_id=notice.user_id, except_session_id=notice.session_id)
    db.session.flush()
    entry_id = entry.id
    # After a rollback it wakes the workers for nothing, which does no harm.
    event.listen(db.session(), "after_commit", lambda _session: outbox.wake(entry_id), once=True)
