"""Searching: the messages that hold all of the words that were typed, or words that begin with them.

Both databases index the words of `Message.search_text` as they stand there, so both find the same. SQLite has FTS5,
whose matches come newest first by themselves. PostgreSQL's index knows no order, so that one which finds a word in
every message would read them all: where the newest messages already fill the page it is not asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, Select, cast, column, literal_column, select, table, text
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.orm import InstrumentedAttribute

from feedback_push import search_text
from feedback_push.database import db
from feedback_push.feedback.models import Message
from feedback_push.search_text import Query

_LOOKED_THROUGH = 500  # of the newest messages, before PostgreSQL's index is asked
_FTS = table("feedback_search", column("rowid", BigInteger))
# The expression of the index ix_feedback_message_search, to the letter.
_VECTOR: ColumnElement[Any] = literal_column("array_to_tsvector(string_to_array(search_text, ' '))")
Columns = Sequence[InstrumentedAttribute[Any] | ColumnElement[Any]]
Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True)
class Order:
    """The ids that are asked for, both included, how many rows at most, and from which end."""

    lowest: int = 0
    highest: int = 2**63 - 1
    limit: int = 1
    oldest_first: bool = False

    def apply(self, query: Select[Any], key: ColumnElement[int] | InstrumentedAttribute[int]) -> Select[Any]:
        """The query for just these rows, where `key` is the id."""
        order = key.asc() if self.oldest_first else key.desc()
        return query.where(key >= self.lowest, key <= self.highest).order_by(order).limit(self.limit)


def find(columns: Columns, typed: str, conditions: Conditions, order: Order) -> Sequence[Row[Any]]:
    """Columns of the messages that have all of these words and meet the conditions."""
    query = search_text.query(typed)
    if not query:
        return []
    # The index knows which pairs of characters a message has; only the text knows that one follows the other.
    phrases = [Message.search_text.contains(phrase) for phrase in query.phrases]
    if db.session.get_bind().dialect.name == "sqlite":
        return db.session.execute(_by_fts(columns, query, [*conditions, *phrases], order)).all()
    fits = _VECTOR.op("@@")(cast(_tsquery(query), TSQUERY))
    rows = db.session.execute(_among_the_first(columns, fits, conditions, phrases, order)).all()
    if len(rows) == order.limit:
        return rows
    return db.session.execute(_by_index(columns, fits, [*conditions, *phrases], order)).all()


def _by_fts(columns: Columns, query: Query, conditions: Conditions, order: Order) -> Select[Any]:
    terms = [f'"{term}"' for term in query.terms] + [f'"{prefix}"*' for prefix in query.prefixes]
    match = text("feedback_search MATCH :match").bindparams(match=" ".join(terms))
    # With the plus SQLite cannot begin with the messages, and ask for each of them whether it matches.
    same = Message.id == literal_column("+feedback_search.rowid")
    rows = select(*columns).select_from(_FTS).join(Message, same).where(match, *conditions)
    return order.apply(rows, _FTS.c.rowid)


def _tsquery(query: Query) -> str:
    # Quoted, the terms reach the index as they are: no parser of PostgreSQL's splits or folds them.
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
    # Without the limit, which would lead PostgreSQL to go through the messages one by one until it has found enough.
    all_ids = select(Message.id).where(fits, *conditions)
    hits = all_ids.where(Message.id.between(order.lowest, order.highest)).cte("hits").prefix_with("MATERIALIZED")
    return order.apply(select(*columns).join(hits, hits.c.id == Message.id), hits.c.id)
