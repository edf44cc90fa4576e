"""Pass any number of ids as one SQL parameter, so that the statement stays the same for any number."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class Ids(TypeDecorator[Iterable[int]]):
    """Any number of ids as one text parameter, which a driver passes on faster than a list."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> str | None:
        """Return a PostgreSQL array literal, or JSON for SQLite."""
        if value is None:
            return None
        spelt = str(list(value))
        return f"{{{spelt[1:-1]}}}" if dialect.name == "postgresql" else spelt


class _IdIn(FunctionElement[bool]):
    # Not typed Boolean: for SQLite, SQLAlchemy would compare the result with 1, which reads the whole table.
    name = "among"
    inherit_cache = True


def id_in(
    column: QueryableAttribute[int] | ColumnElement[int], ids: Iterable[int] | BindParameter[Any]
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
