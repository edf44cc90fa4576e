"""Searching: the messages that hold words beginning with all of those that were typed.

SQLite has FTS5, whose matches come newest first by themselves. PostgreSQL's index knows no order, so that one which
finds a word in every message would read them all: where the newest messages already fill the page it is not asked.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import regex
from sqlalchemy import BigInteger, ColumnElement, Row, Select, column, func, literal_column, select, table, text
from sqlalchemy.orm import InstrumentedAttribute

from feedback_push.database import db
from feedback_push.feedback.models import Message

MOST_WORDS = 10
_WORD = regex.compile(r"[\p{L}\p{N}\p{Co}\p{Mn}\p{Mc}]+")
_ACCENTS = regex.compile("[\u0300-\u036f]+")
_LOOKED_THROUGH = 500  # of the newest messages, before PostgreSQL's index is asked
_FTS = table("feedback_search", column("rowid", BigInteger))
# The expression of the index ix_feedback_message_search, to the letter. A tsvector has at most 1 MB, hence the cuts.
_VECTOR: ColumnElement[Any] = literal_column(r"""
    to_tsvector('simple', regexp_replace(regexp_replace(left(normalize(
        submitter_name || ' ' || submitter_email || ' ' || left(content, 50000), NFKD), 60000),
        '[\u0300-\u036f]+', '', 'g'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f]+', ' ', 'g'))
""")
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


def words(typed: str) -> list[str]:
    """The words to look for, the first MOST_WORDS of them: what separates them never reaches a query language."""
    return [word for word in _WORD.findall(typed) if _folded(word)][:MOST_WORDS]


def find(columns: Columns, typed: str, conditions: Conditions, order: Order) -> Sequence[Row[Any]]:
    """Columns of the messages that have all of these words and meet the conditions."""
    found = words(typed)
    if not found:
        return []
    if db.session.get_bind().dialect.name == "sqlite":
        return db.session.execute(_by_fts(columns, found, conditions, order)).all()
    fits = func.to_tsquery(literal_column("'simple'"), " & ".join(f"'{_folded(word)}':*" for word in found))
    rows = db.session.execute(_among_the_first(columns, fits, conditions, order)).all()
    if len(rows) == order.limit:
        return rows
    return db.session.execute(_by_index(columns, fits, conditions, order)).all()


def _by_fts(columns: Columns, found: list[str], conditions: Conditions, order: Order) -> Select[Any]:
    match = text("feedback_search MATCH :match").bindparams(match=" ".join(f'"{word}"*' for word in found))
    # With the plus SQLite cannot begin with the messages, and ask for each of them whether it matches.
    same = Message.id == literal_column("+feedback_search.rowid")
    rows = select(*columns).select_from(_FTS).join(Message, same).where(match, *conditions)
    return order.apply(rows, _FTS.c.rowid)


def _among_the_first(columns: Columns, fits: ColumnElement[Any], conditions: Conditions, order: Order) -> Select[Any]:
    some = select(Message.id, _VECTOR.label("vector")).where(*conditions)
    first = replace(order, limit=_LOOKED_THROUGH).apply(some, Message.id).subquery("first")
    rows = select(*columns).join(first, first.c.id == Message.id).where(first.c.vector.op("@@")(fits))
    return order.apply(rows, first.c.id)


def _by_index(columns: Columns, fits: ColumnElement[Any], conditions: Conditions, order: Order) -> Select[Any]:
    # Without the limit, which would lead PostgreSQL to go through the messages one by one until it has found enough.
    all_ids = select(Message.id).where(_VECTOR.op("@@")(fits), *conditions)
    hits = all_ids.where(Message.id.between(order.lowest, order.highest)).cte("hits").prefix_with("MATERIALIZED")
    return order.apply(select(*columns).join(hits, hits.c.id == Message.id), hits.c.id)


def _folded(word: str) -> str:
    return str(_ACCENTS.sub("", unicodedata.normalize("NFKD", word)))
