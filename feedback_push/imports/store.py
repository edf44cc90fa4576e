"""Store the records of an import; records that are there already change nothing, so an import may run again."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from sqlalchemy import select

from feedback_push.auth import accounts
from feedback_push.auth.models import User
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.feedback.models import Message, MessageState
from feedback_push.imports.records import ImportRefused, MessageRecord, Record, SubscriptionRecord
from feedback_push.push import followers, subscriptions
from feedback_push.push.browser_subscription import BrowserSubscription, SubscriptionRefused, endpoint_policy
from feedback_push.push.models import PreviewLevel
from feedback_push.topics.models import Topic

BATCH = 200  # records in one transaction
_NAME = "Imported"


@dataclass
class Counts:
    """The numbers of records that were stored and that were there before, and the devices without an owner."""

    messages: int = 0
    devices: int = 0
    known: int = 0
    without_owner: list[str] = field(default_factory=list)  # their places in the file


@dataclass(frozen=True)
class Owners:
    """The owners of the subscriptions: an account, a topic's followers, or the accounts that the file names."""

    user: User | None = None
    topic: Topic | None = None

    def of(self, record: SubscriptionRecord) -> User | Topic | None:
        """Return the account or the topic of a subscription; None if there is none."""
        return self.user or self.topic or accounts.find(record.owner[:320])


def check(records: Iterable[Record], owners: Owners) -> Counts:
    """Read all records and count them; raise ImportRefused at the first that cannot be stored."""
    found, accounts_of = Counts(), Counter[str]()
    for record in records:
        if isinstance(record, MessageRecord):
            found.messages += 1
            continue
        _browser(record)
        found.devices += 1
        if not owners.topic:
            accounts_of[owners.user.email if owners.user else record.owner] += 1
    if accounts_of and max(accounts_of.values()) > subscriptions.MOST:
        raise ImportRefused(f"An account has at most {subscriptions.MOST} devices. For visitors, name a --topic.")
    return found


def store(records: list[Record], owners: Owners, vapid_public_key: str, counts: Counts) -> None:
    """Add a batch of records to the session and to the counts. The caller commits."""
    messages = [record for record in records if isinstance(record, MessageRecord)]
    stored = _stored(messages)
    new = {record: None for record in messages if _identity(record) not in stored}
    for record in new:
        # Read, because nobody waits for an answer to it today.
        created_at = record.created_at or utcnow()
        db.session.add(
            Message(
                content=record.content, submitter_name=record.name, submitter_email=record.email,
                created_at=created_at, state=MessageState.READ, read_at=created_at,
            )
        )  # fmt: skip
        counts.messages += 1
    counts.known += len(messages) - len(new)
    for device in (record for record in records if isinstance(record, SubscriptionRecord)):
        _store_device(device, owners.of(device), vapid_public_key, counts)
    db.session.flush()


def _store_device(record: SubscriptionRecord, owner: User | Topic | None, public_key: str, counts: Counts) -> None:
    browser = _browser(record)
    if owner is None:
        counts.without_owner.append(record.place)
    elif isinstance(owner, User):
        is_new = subscriptions.save(browser, user=owner, vapid_public_key=public_key, name=_NAME)
        counts.devices += is_new
        counts.known += not is_new
    else:
        is_known = followers.find(browser.endpoint) is not None
        language = "en"
        device = followers.save(browser, vapid_public_key=public_key, name=_NAME, language=language)
        followers.follow(device, {owner.audience_id: PreviewLevel.ALL})
        counts.devices += not is_known
        counts.known += is_known


def _browser(record: SubscriptionRecord) -> BrowserSubscription:
    try:
        return BrowserSubscription.parse(dict(record.subscription), endpoint_policy(current_settings()))
    except SubscriptionRefused as error:
        raise ImportRefused(f"{record.place}: {error}") from None


def _stored(records: list[MessageRecord]) -> set[tuple[object, ...]]:
    """Return the identities of stored messages that could be these records."""
    rows = select(Message.created_at, Message.submitter_name, Message.submitter_email, Message.content)
    times = {record.created_at for record in records if record.created_at}
    contents = {record.content for record in records if not record.created_at}
    timed = db.session.execute(rows.where(Message.created_at.in_(times)))
    timeless = db.session.execute(rows.where(Message.content.in_(contents)))
    return {tuple(row) for row in timed} | {(None, *row[1:]) for row in timeless}


def _identity(record: MessageRecord) -> tuple[object, ...]:
    return record.created_at, record.name, record.email, record.content
