"""Followers: a visitor's browser, known by its endpoint alone, follows the audiences of conversations and topics."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, TextClause, and_, case, delete, exists, func, literal, or_, select, text, update

from feedback_push import maintenance
from feedback_push.database import db, insert, utcnow
from feedback_push.ids import id_in
from feedback_push.push import outbox, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription
from feedback_push.push.models import (
    NEVER_REACHED,
    Audience,
    Delivery,
    DeliveryState,
    DeviceState,
    Follower,
    OutboxEntry,
    PreviewLevel,
    Subscription,
)

MOST_FOLLOWED = 200  # audiences of one device
_BATCH = 1000  # followers or devices deleted in one transaction


class TooMany(ValueError):
    """The device follows as many audiences as one device may."""


def add_audience() -> Audience:
    """Add an audience without followers; the feature that owns it stores its id. The caller commits."""
    audience = Audience()
    db.session.add(audience)
    db.session.flush()
    return audience


def save(browser: BrowserSubscription, *, vapid_public_key: str, name: str, language: str) -> int:
    """Store a visitor's browser as a device, or confirm it, and return its id. The caller commits.

    An administrator's device stays theirs: a visitor's page may add audiences to it and change nothing else. An
    unchanged device keeps its count of failures, so that one that was made up does not stay by asking again.
    """
    same = and_(Subscription.state == DeviceState.LIVE, Subscription.auth == browser.auth)
    fresh = {
        "p256dh": browser.p256dh,
        "auth": browser.auth,
        "vapid_public_key": vapid_public_key,
        "language": language,
        "state": DeviceState.LIVE,
        "gone_at": None,
        "seen_at": utcnow(),
    }
    again = {**fresh, "failures": case((same, Subscription.failures), else_=0)}
    row = insert(Subscription).values(endpoint=browser.endpoint, name=name, failures=0, **fresh)
    of_visitor = Subscription.user_id.is_(None)
    row = row.on_conflict_do_update(index_elements=[Subscription.endpoint], set_=again, where=of_visitor)
    db.session.execute(row)
    return db.session.scalars(select(Subscription.id).where(Subscription.endpoint == browser.endpoint)).one()


def follow(device_id: int, audiences: Mapping[int, PreviewLevel]) -> None:
    """Let a device follow these audiences too, each at its preview level; raise TooMany. The caller commits.

    A follower who was paused goes on.
    """
    subscriptions.lock(Subscription.id == device_id)  # or two requests could add more than one device may follow
    for audience_id, shows in sorted(audiences.items()):
        row = insert(Follower).values(audience_id=audience_id, subscription_id=device_id, shows=shows)
        keys = [Follower.audience_id, Follower.subscription_id]
        opened_at = case((Follower.paused_at.is_not(None), utcnow()), else_=Follower.opened_at)
        again = {"shows": shows, "opened_at": opened_at, "paused_at": None, "asked_at": None}
        db.session.execute(row.on_conflict_do_update(index_elements=keys, set_=again))
    if len(followed_by(device_id)) > MOST_FOLLOWED:
        raise TooMany


def replace(old_endpoint: str, device_id: int) -> None:
    """Let a device take over the audiences of the visitor's device with the old endpoint, which is then deleted.

    Only a browser that knows the old endpoint can ask for this. The caller commits.
    """
    old = find(old_endpoint)
    if old is None or old.user_id is not None or old.id == device_id:
        return
    subscriptions.lock(id_in(Subscription.id, [old.id, device_id]))
    kept = [Follower.audience_id, Follower.shows, Follower.added_at]
    kept += [Follower.opened_at, Follower.paused_at, Follower.asked_at]  # a renewal is no sign of interest
    theirs = select(literal(device_id), *kept).where(Follower.subscription_id == old.id)
    carried = insert(Follower).from_select([Follower.subscription_id, *kept], theirs)
    db.session.execute(carried.on_conflict_do_nothing())
    forget(old.id)


def unfollow(device_id: int, audience_ids: Collection[int]) -> None:
    """Let a device follow these audiences no more, and send it nothing of theirs that waits. The caller commits."""
    subscriptions.lock(Subscription.id == device_id)
    theirs = (Follower.subscription_id == device_id, id_in(Follower.audience_id, audience_ids))
    db.session.execute(delete(Follower).where(*theirs))
    entries = select(OutboxEntry.id).where(id_in(OutboxEntry.audience_id, audience_ids))
    unsent = or_(Delivery.due_at.is_not(None), Delivery.state == DeliveryState.PAUSED)
    these = (Delivery.subscription_id == device_id, Delivery.outbox_id.in_(entries), unsent)
    cancel = update(Delivery).where(*these).values(state=DeliveryState.CANCELLED, due_at=None)
    db.session.execute(cancel, execution_options={"synchronize_session": False})


def find(endpoint: str) -> Subscription | None:
    """Return the device with this endpoint, which only its own browser knows; None if there is none."""
    return db.session.scalar(select(Subscription).where(Subscription.endpoint == endpoint))


def followed_by(device_id: int) -> dict[int, PreviewLevel]:
    """Return the audiences that a device follows, with the preview level of each."""
    theirs = select(Follower).where(Follower.subscription_id == device_id)
    return {follower.audience_id: follower.shows for follower in db.session.scalars(theirs)}


def paused_in(device_id: int) -> set[int]:
    """Return the audiences in which a device is paused, because it opened nothing for too long."""
    theirs = (Follower.subscription_id == device_id, Follower.paused_at.is_not(None))
    return set(db.session.scalars(select(Follower.audience_id).where(*theirs)))


def count(audience_id: int) -> int:
    """Count the devices that a notification for an audience would be sent to."""
    devices = select(func.count()).select_from(Follower).join(Subscription, Subscription.id == Follower.subscription_id)
    live = (Subscription.state == DeviceState.LIVE, Subscription.paused_at.is_(None), Follower.paused_at.is_(None))
    return db.session.scalar(devices.where(Follower.audience_id == audience_id, *live)) or 0


def count_all(audience_id: int) -> int:
    """Count the followers of an audience that are not paused, whatever has become of their devices.

    Unlike `count`, it reads no device, so a million take a tenth of a second.
    """
    theirs = (Follower.audience_id == audience_id, Follower.paused_at.is_(None))
    return db.session.scalar(select(func.count()).select_from(Follower).where(*theirs)) or 0


def reachable(audience_ids: Collection[int]) -> dict[int, list[int]]:
    """Return the devices that a notification for each of these audiences is for; none for an audience without any."""
    following = select(Follower.audience_id, Follower.subscription_id)
    following = following.join(Subscription, Subscription.id == Follower.subscription_id)
    not_paused = (Subscription.paused_at.is_(None), Follower.paused_at.is_(None))
    theirs = (id_in(Follower.audience_id, audience_ids), Subscription.state != DeviceState.GONE, *not_paused)
    devices: dict[int, list[int]] = {}
    for audience_id, device_id in db.session.execute(following.where(*theirs)):
        devices.setdefault(audience_id, []).append(device_id)
    return devices


def leave_out(entry: OutboxEntry, told: Mapping[int, int]) -> None:
    """Send an entry to none of these devices, because another entry, whose id each has here, says the same.

    Call this in the transaction that adds the entry.
    """
    for other in set(told.values()):
        devices = [device for device, by in told.items() if by == other]
        columns = {
            "outbox_id": literal(entry.id),
            "subscription_id": Subscription.id,
            "state": literal(DeliveryState.SUMMARISED),
            "summary_id": literal(other),
            "attempts": literal(0),
            "reduced": literal(False),
            "service": Subscription.service,
            "priority": literal(int(entry.priority)),
        }
        # Locked in the order that removals use: a device removed meanwhile would make the INSERT fail.
        there = select(*columns.values()).where(id_in(Subscription.id, devices)).order_by(Subscription.id)
        rows = there.with_for_update(read=True, key_share=True)
        db.session.execute(insert(Delivery).from_select(list(columns), rows))


def forget(device_id: int) -> None:
    """Delete a visitor's device with its deliveries; an administrator's device only leaves its audiences."""
    db.session.execute(delete(Follower).where(Follower.subscription_id == device_id))
    _delete_visitors([device_id])


def delete_audience(audience_id: int) -> bool:
    """Delete a batch of an audience's followers, and at last the audience; return whether there is more.

    The caller commits each batch.
    """
    if delete_followers(audience_id):
        return True
    entries = db.session.scalars(select(OutboxEntry.id).where(OutboxEntry.audience_id == audience_id)).all()
    if outbox.delete_deliveries(entries):
        return True
    db.session.execute(delete(Audience).where(Audience.id == audience_id))
    return False


def delete_followers(audience_id: int) -> bool:
    """Delete a batch of an audience's followers; return whether there may be more. The caller commits each batch.

    The devices of visitors that follow nothing else are deleted too.
    """
    some = select(Follower.subscription_id).where(Follower.audience_id == audience_id)
    devices = db.session.scalars(some.order_by(Follower.subscription_id).limit(_BATCH)).all()
    theirs = (Follower.audience_id == audience_id, id_in(Follower.subscription_id, devices))
    db.session.execute(delete(Follower).where(*theirs))
    _delete_visitors(devices, ~exists().where(Follower.subscription_id == Subscription.id))
    return len(devices) == _BATCH


@maintenance.each_minute
def delete_never_reached(_now: datetime) -> bool:
    """Delete visitors' devices that push services only ever refused, such as made-up ones.

    Return whether there may be more.
    """
    some = db.session.scalars(select(Subscription.id).where(text(NEVER_REACHED)).limit(_BATCH)).all()
    _delete_visitors(some, text(NEVER_REACHED))
    return len(some) == _BATCH


def _delete_visitors(device_ids: Collection[int], *still: ColumnElement[bool] | TextClause) -> None:
    # A visitor's device has few deliveries, so the database may delete them along with it.
    these = (id_in(Subscription.id, device_ids), Subscription.user_id.is_(None), *still)
    subscriptions.lock(*these, to_delete=True)
    db.session.execute(delete(Subscription).where(*these), execution_options={"synchronize_session": False})
