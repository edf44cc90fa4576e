"""The models of alarms: incidents, drills with their recipients, a chosen setting, and the last turn of the checks."""

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push import email_address
from feedback_push.auth.models import User
from feedback_push.database import AUTOINCREMENT, Base, Id, utcnow
from feedback_push.push.models import OutboxEntry

OPEN = "closed_at IS NULL"
LONGEST_SLOT = 40


class Alarm(StrEnum):
    """The kinds of alarms."""

    UNSEEN = "unseen"  # nobody has seen a message in the set time
    DEVICE = "device"  # an administrator has no working device any more
    WORKERS = "workers"  # no worker runs
    DRILL = "drill"  # a drill has not reached every administrator


class Incident(Base):
    """A time for which an alarm lasts; `subject` tells incidents of one kind apart, and one is open at a time for each.

    `detail` has the values for its text.
    """

    __tablename__ = "alarms_incident"
    __table_args__ = (
        Index(
            "uq_alarms_incident_open", "alarm", "subject", unique=True,
            sqlite_where=text(OPEN), postgresql_where=text(OPEN),
        ),
        AUTOINCREMENT,
    )  # fmt: skip

    id: Mapped[Id]
    alarm: Mapped[Alarm] = mapped_column(String(10))
    subject: Mapped[str] = mapped_column(String(20), default="")
    detail: Mapped[dict[str, Any]] = mapped_column(JSON)
    opened_at: Mapped[datetime] = mapped_column(default=utcnow)
    closed_at: Mapped[datetime | None]


class Drill(Base):
    """A notification to every administrator that proves that it reaches them.

    `slot` is the time that the schedule has set, and unique, so that two workers start one drill. `judged_at` is the
    time at which everybody had had enough time to get it.
    """

    __tablename__ = "alarms_drill"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    slot: Mapped[str | None] = mapped_column(String(LONGEST_SLOT), unique=True)
    started_at: Mapped[datetime] = mapped_column(default=utcnow)
    started_by: Mapped[str] = mapped_column(String(email_address.LONGEST), default="")  # empty: the schedule
    judged_at: Mapped[datetime | None]


class DrillRecipient(Base):
    """An administrator in a drill; `send_at` is after their quiet hours."""

    __tablename__ = "alarms_drill_recipient"

    drill_id: Mapped[int] = mapped_column(ForeignKey(Drill.id, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True, index=True)
    send_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    outbox_id: Mapped[int | None] = mapped_column(ForeignKey(OutboxEntry.id, ondelete="SET NULL"), index=True)
    opened_at: Mapped[datetime | None]

    user: Mapped[User] = relationship()
    entry: Mapped[OutboxEntry | None] = relationship()


class Setting(Base):
    """A setting that an owner has chosen in the dashboard; without a row, the operator's holds."""

    __tablename__ = "alarms_setting"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(Integer)


class LastTurn(Base):
    """The last time at which any worker has done the checks."""

    __tablename__ = "alarms_last_turn"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    at: Mapped[datetime]
