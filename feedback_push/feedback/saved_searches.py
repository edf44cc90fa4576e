"""Save searches under a name, for one administrator."""

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select

from feedback_push import typed_text
from feedback_push.auth.models import User
from feedback_push.database import db, insert, utcnow
from feedback_push.feedback.models import SavedSearch

LONGEST_NAME = 60  # characters
MOST = 30  # of one administrator
_LONGEST_TYPED = 1_000


class TooMany(Exception):
    """The administrator has as many saved searches as they may have."""


def name_of(typed: str) -> str:
    """Return a typed name without line ends and spaces around it; empty if it has no visible character."""
    name = " ".join((typed_text.storable(typed[:_LONGEST_TYPED]) or "").split())[:LONGEST_NAME]
    return "" if typed_text.is_blank(name) else name


def save(user: User, name: str, query: Mapping[str, str]) -> None:
    """Save a search; a search with the same name is replaced. Raise TooMany. The caller commits."""
    row = insert(SavedSearch).values(user_id=user.id, name=name, query=dict(query), created_at=utcnow())
    same = [SavedSearch.user_id, SavedSearch.name]
    db.session.execute(row.on_conflict_do_update(index_elements=same, set_={"query": row.excluded.query}))
    mine = select(func.count()).select_from(SavedSearch).where(SavedSearch.user_id == user.id)
    if (db.session.scalar(mine) or 0) > MOST:
        raise TooMany


def of(user: User) -> Sequence[SavedSearch]:
    """Return an administrator's saved searches, in the order of their names."""
    mine = select(SavedSearch).where(SavedSearch.user_id == user.id)
    return db.session.scalars(mine.order_by(func.lower(SavedSearch.name), SavedSearch.id)).all()


def remove(user: User, search_id: int) -> bool:
    """Remove one of an administrator's saved searches; return whether there was one. The caller commits."""
    mine = (SavedSearch.id == search_id, SavedSearch.user_id == user.id)
    return db.session.scalar(delete(SavedSearch).where(*mine).returning(SavedSearch.id)) is not None
