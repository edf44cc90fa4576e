"""Compile templates, SQL statements and routes once per process, rather than once for each application.

Each test has an application of its own, but all of them compile the same source. Every cache here is keyed by that
source, so an application never sees the state of another one.
"""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from jinja2.bccache import Bucket, BytecodeCache
from sqlalchemy import Engine
from sqlalchemy.engine.default import DefaultDialect
from werkzeug.routing import Rule

_make_engine: Callable[..., Engine] = SQLAlchemy._make_engine  # noqa: SLF001 - the only place to give an engine options
_compile_rule = Rule.compile
# The attributes that it sets, apart from the two functions that build an address.
_OF_A_RULE = ("_parts", "_trace", "_converters", "arguments")


def once(patch: pytest.MonkeyPatch) -> None:
    """Share compiled code between the applications of this process."""
    patch.setattr(Flask, "jinja_options", {"bytecode_cache": _Templates()})
    patch.setattr(Rule, "compile", _compile)
    patch.setattr(SQLAlchemy, "_make_engine", _engine)
    # SQLAlchemy's caches are keyed by the dialect, which each engine has a new one of.
    patch.setattr(DefaultDialect, "__hash__", lambda dialect: hash(type(dialect)))
    patch.setattr(DefaultDialect, "__eq__", lambda dialect, other: type(dialect) is type(other))


class _Templates(BytecodeCache):
    """Keep the code of templates in memory; Jinja compiles a template again if its source has changed."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, Any]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        checksum, code = self._kept.get(bucket.key, ("", None))
        bucket.code = code if checksum == bucket.checksum else None

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._kept[bucket.key] = bucket.checksum, bucket.code


_rules: dict[Any, tuple[dict[str, Any], Any, Any]] = {}
_statements: dict[str, dict[Any, Any]] = {}


def _compile(rule: Any) -> None:
    source = (rule.rule, rule.subdomain, rule.host, repr(rule.defaults), rule.merge_slashes, rule.strict_slashes)
    if source not in _rules:
        _compile_rule(rule)
        kept = {name: getattr(rule, name) for name in _OF_A_RULE}
        _rules[source] = kept, rule._build.__func__, rule._build_unknown.__func__  # noqa: SLF001
    kept, build, build_unknown = _rules[source]
    vars(rule).update(kept, _build=build.__get__(rule), _build_unknown=build_unknown.__get__(rule))


def _engine(extension: SQLAlchemy, bind_key: str | None, options: dict[str, Any], app: Flask) -> Engine:
    engine = _make_engine(extension, bind_key, options, app)
    engine.update_execution_options(compiled_cache=_statements.setdefault(engine.dialect.name, {}))
    return engine
