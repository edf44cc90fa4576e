"""The models of forms: a form, the administrators who are notified of its messages, and the site's limits."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Integer, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from feedback_push.auth.models import User
from feedback_push.database import AUTOINCREMENT, Base, Id, utcnow

DEFAULT_KEY = "default"  # of the form at /feedback/, whose messages have no key
LONGEST_KEY = 40
LONGEST_LABEL = 120  # of a category, or of a question
MOST_QUESTIONS = 5
LONGEST_ORIGIN = 300  # a host name has at most 253 characters
LONGEST_URL = 1_000  # of a page, in ASCII
LONGEST_TITLE = 200  # of a page
LONGEST_VIEWPORT = 11  # such as 1280x720
LONGEST_LANGUAGE = 35  # RFC 5646, section 4.4.1
VIEWPORT = r"[0-9]{1,5}x[0-9]{1,5}"
LANGUAGE = r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8}){0,3}"


class Presence(StrEnum):
    """The state of a field: an optional field may stay empty, and one that is off is not shown."""

    REQUIRED = "required"
    OPTIONAL = "optional"
    OFF = "off"


class RatingScale(StrEnum):
    """The ratings that a form asks for."""

    NONE = "none"
    STARS = "stars"
    THUMBS = "thumbs"

    @property
    def values(self) -> tuple[str, ...]:
        """The ratings as they are stored, the worst first."""
        return {RatingScale.STARS: ("1", "2", "3", "4", "5"), RatingScale.THUMBS: ("down", "up")}.get(self, ())


RATINGS = (*RatingScale.STARS.values, *RatingScale.THUMBS.values)


@dataclass(frozen=True)
class Limits:
    """The limits in force for a form. Bursts of notifications become summaries whatever these say."""

    network_hourly: int = 10  # messages without a proof of work from one network in an hour
    total_hourly: int = 300  # messages without a proof of work in an hour, to the site or to a form with its own number
    form_hourly: int | None = None  # all messages to the form in an hour; None: no limit but the site's disk space
    notify_daily: int = 500  # notifications in a day because of one network


USUAL_LIMITS = Limits()


class Form(Base):
    """A form of the site. The default form has a row only after somebody has changed it.

    `words` has the texts by language: `title`, `intro`, `button` and `thanks`. `categories` has a dict of labels by
    language for each category. `questions` has a dict for each question: `id`, `labels`, `required` and `long`.
    """

    __tablename__ = "feedback_form"
    __table_args__ = AUTOINCREMENT

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(LONGEST_KEY), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(default=utcnow)
    closed_at: Mapped[datetime | None]  # it takes no messages
    origins: Mapped[list[str]] = mapped_column(JSON, default=list)
    words: Mapped[dict[str, dict[str, str]]] = mapped_column(JSON, default=dict)
    name_field: Mapped[Presence] = mapped_column(String(10), default=Presence.REQUIRED)
    email_field: Mapped[Presence] = mapped_column(String(10), default=Presence.OPTIONAL)
    rating: Mapped[RatingScale] = mapped_column(String(10), default=RatingScale.NONE)
    categories: Mapped[list[dict[str, str]]] = mapped_column(JSON, default=list)
    questions: Mapped[list[dict[str, Any]]] = mapped_column(JSON, default=list)
    thanks_url: Mapped[str] = mapped_column(String(500), default="")  # empty: the site's own thank-you page
    keeps_query: Mapped[bool] = mapped_column(default=False)  # the query of a page's address, which may be private
    notifies_all: Mapped[bool] = mapped_column(default=True)  # False: only `recipients`
    network_hourly: Mapped[int | None] = mapped_column(Integer)  # None, as for the next two: the site's limit
    form_hourly: Mapped[int | None] = mapped_column(Integer)
    notify_daily: Mapped[int | None] = mapped_column(Integer)

    recipients: Mapped[list["FormRecipient"]] = relationship(
        order_by="FormRecipient.user_id", cascade="all, delete-orphan", passive_deletes=True
    )
    limits = USUAL_LIMITS  # in force, once site_forms has read them

    @property
    def is_default(self) -> bool:
        """Return whether this is the form at /feedback/."""
        return self.key == DEFAULT_KEY

    @property
    def stored_key(self) -> str | None:
        """The key that its messages store; None for the default form."""
        return None if self.is_default else self.key

    @property
    def recipient_ids(self) -> list[int] | None:
        """The administrators to notify; None for all of them, also if none of the chosen accounts is left."""
        return None if self.notifies_all else [each.user_id for each in self.recipients] or None


class FormRecipient(Base):
    """An administrator who is chosen to be notified of a form's messages."""

    __tablename__ = "feedback_form_recipient"

    form_id: Mapped[int] = mapped_column(ForeignKey(Form.id, ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id, ondelete="CASCADE"), primary_key=True, index=True)


class FormLoad(Base):
    """An origin whose pages have loaded a form on a day, in UTC; nothing about their visitors."""

    __tablename__ = "feedback_form_load"

    form_key: Mapped[str] = mapped_column(String(LONGEST_KEY), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    origin: Mapped[str] = mapped_column(String(LONGEST_ORIGIN), primary_key=True)


class SiteLimit(Base):
    """A limit that holds for every form without its own; without a row, the default."""

    __tablename__ = "feedback_site_limit"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(Integer)
