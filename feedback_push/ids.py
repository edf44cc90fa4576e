"""Any number of ids as one parameter of a statement, which so stays the same statement for any number."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Dialect, String, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import QueryableAttribute
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator


class Ids(TypeDecorator[Iterable[int]]):
    """Any number of ids as one parameter: a text, which a driver passes on faster than a list."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Iterable[int] | None, dialect: Dialect) -> str | None:
        """Spell an array of PostgreSQL's, or JSON for SQLite."""
        if value is None:
            return None
        spelt = str(list(value))
        return f"{{{spelt[1:-1]}}}" if dialect.name == "postgresql" else spelt


class _IdIn(FunctionElement[bool]):
    # Not of the type Boolean, which SQLAlchemy would compare with 1 for SQLite, and that reads the whole table.
    name = "among"
    inherit_cache = True


def id_in(
    column: QueryableAttribute[int] | ColumnElement[int], ids: Iterable[int] | BindParameter[Any]
) -> ColumnElement[bool]:
    """Whether the column is one of these, which are a single parameter: the statement is the same for any number."""
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
