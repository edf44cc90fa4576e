"""Read ids from a request, and pass any number of them as one SQL parameter."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator

LARGEST = 2**63 - 1
_LONGEST = len(str(LARGEST))  # digits


def parse(text: str) -> int:
    """Return an id or a cursor from a form or a query; raise ValueError if the text is not a number in their range."""
    if not (len(text) <= _LONGEST and text.isascii() and text.isdigit()) or int(text) > LARGEST:
        raise ValueError("not an id")
    return int(text)


class Ids(TypeDecorator[Iterable[int]]):
    """Any number of ids as one text parameter. The statement stays the same, and a text is faster than a list."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> str | None:
        """Return a PostgreSQL array literal, or JSON for SQLite."""
        if value is None:
            return None
        encoded = str(list(value))
        return f"{{{encoded[1:-1]}}}" if dialect.name == "postgresql" else encoded


class _IdIn(FunctionElement[bool]):
    # Not typed Boolean: for SQLite, SQLAlchemy would compare the result with 1, which reads the whole table.
    name = "among"
    inherit_cache = True


def id_in(
    column: QueryableAttribute[int] | QueryableAttribute[int | None] | ColumnElement[int],
    ids: Iterable[int] | BindParameter[Any],
) -> ColumnElement[bool]:
    """Return the condition that the column is one of the ids, which are one parameter of the statement."""
    given = ids if isinstance(ids, BindParameter) else literal(ids, Ids)
    return _IdIn(column, given)


@compiles(_IdIn, "postgresql")
def _array(among: _IdIn, compiler: SQLCompiler, **how: Any) -> str:
    column, ids = among.clauses
    return f"{compiler.process(column, **how)} = ANY (CAST({compiler.process(ids, **how)} AS BIGINT[]))"


@compiles(_IdIn, "sqlite")
def _json(among: _IdIn, compiler: SQLCompiler, **how: Any) -> str:
    column, ids = among.clauses
    return f"{compiler.process(column, **how)} IN {_values(compiler.process(ids, **how))}"


def _values(ids: str) -> str:
    return f"(SELECT value FROM json_each({ids}))"  # noqa: S608 - the name of a parameter
