"""Search for messages that contain all of the typed words, or words that begin with them.

Both databases index the words of `Message.search_text` unchanged, so both find the same messages. SQLite's FTS5 returns
matches newest first by itself. PostgreSQL's index has no order, so a search for a word that is in every message would
read them all. Therefore PostgreSQL searches the newest messages first, and its index only if they do not fill the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, cast, column, func, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import InstrumentedAttribute

from feedback_push import ids, search_text
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.search_text import Query

_LOOKED_THROUGH = 500  # newest messages to search before PostgreSQL's index
_FTS = table("feedback_search", column("rowid", BigInteger))
# This must be exactly the expression of the index ix_feedback_message_search.
_VECTOR: ColumnElement[Any] = literal_column("array_to_tsvector(string_to_array(search_text, ' '))")
Columns = Sequence[InstrumentedAttribute[Any] | ColumnElement[Any]]
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True)
class Order:
    """A range of ids (both ends included), the maximum number of rows, and the direction."""

    lowest: int = 0
    highest: int = ids.LARGEST
    limit: int = 1
    oldest_first: bool = False

    def apply(self, query: Select[Any], key: ColumnElement[int] | InstrumentedAttribute[int]) -> Select[Any]:
        """Return the query restricted to these rows. `key` is the column of the id."""
        return self.limited(query, key).order_by(key.asc() if self.oldest_first else key.desc())

    def limited(self, query: Select[Any], key: ColumnElement[int] | InstrumentedAttribute[int]) -> Select[Any]:
        """Return the query restricted to so many of these rows, in no order."""
        return query.where(key >= self.lowest, key <= self.highest).limit(self.limit)


def find(columns: Columns, typed: str, conditions: Conditions, order: Order) -> Sequence[Row[Any]]:
    """Return columns of the messages that contain all of the typed words and meet the conditions."""
    query = search_text.query(typed)
    if not query:
        return []
    phrases = _phrases(query)
    if db.session.get_bind().dialect.name == "sqlite":
        return db.session.execute(order.apply(_by_fts(columns, query, [*conditions, *phrases]), _FTS.c.rowid)).all()
    fits = _fits(query)
    rows = db.session.execute(_among_the_first(columns, fits, conditions, phrases, order)).all()
    if len(rows) == order.limit:
        return rows
    return db.session.execute(_by_index(columns, fits, [*conditions, *phrases], order)).all()


def count(typed: str, conditions: Conditions, within: Order) -> int:
    """Return the number of messages that `find` would return for this range, at most the range's limit."""
    query = search_text.query(typed)
    if not query:
        return 0
    tests = [*conditions, *_phrases(query)]
    if db.session.get_bind().dialect.name == "sqlite":
        some = within.limited(_by_fts([Message.id], query, tests), _FTS.c.rowid)
    else:
        # In no order: PostgreSQL may stop at the limit, wherever it reads.
        some = within.limited(select(Message.id).where(_fits(query), *tests), Message.id)
    return db.session.scalar(select(func.count()).select_from(some.subquery())) or 0


def _phrases(query: Query) -> list[ColumnElement[bool]]:
    # The index knows the pairs of characters in a message, but only the text shows that one pair follows the other.
    return [Message.search_text.contains(phrase) for phrase in query.phrases]


def _by_fts(columns: Columns, query: Query, conditions: Conditions) -> Select[Any]:
    terms = [f'"{term}"' for term in query.terms] + [f'"{prefix}"*' for prefix in query.prefixes]
    match = text("feedback_search MATCH :match").bindparams(match=" ".join(terms))
    # The plus keeps SQLite from starting with the messages and testing each of them for a match.
    same = Message.id == literal_column("+feedback_search.rowid")
    return select(*columns).select_from(_FTS).join(Message, same).where(match, *conditions)


def _fits(query: Query) -> ColumnElement[bool]:
    return _VECTOR.op("@@")(cast(_tsquery(query), TSQUERY))


def _tsquery(query: Query) -> str:
    # Quoted terms reach the index unchanged: no PostgreSQL parser splits or folds them.
    terms = [f"'{term}'" for term in query.terms] + [f"'{prefix}':*" for prefix in query.prefixes]
    return " & ".join(terms)


def _among_the_first(
    columns: Columns, fits: ColumnElement[Any], conditions: Conditions, phrases: Conditions, order: Order
) -> Select[Any]:
    some = select(Message.id, fits.label("fits")).where(*conditions)
    first = replace(order, limit=_LOOKED_THROUGH).apply(some, Message.id).subquery("first")
    rows = select(*columns).join(first, first.c.id == Message.id).where(first.c.fits, *phrases)
    return order.apply(rows, first.c.id)


def _by_index(columns: Columns, fits: ColumnElement[Any], conditions: Conditions, order: Order) -> Select[Any]:
    # The inner query has no limit: with one, PostgreSQL would scan the messages one by one until it has enough matches.
    all_ids = select(Message.id).where(fits, *conditions)
    hits = all_ids.where(Message.id.between(order.lowest, order.highest)).cte("hits").prefix_with("MATERIALIZED")
    return order.apply(select(*columns).join(hits, hits.c.id == Message.id), hits.c.id)
