"""Give each test a PostgreSQL database that holds no rows, without creating one each time."""

from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

_TEMPLATE = "migrated"
_NAME = "test"
# The schema, and the planner's statistics, because TRUNCATE keeps those.
_FINGERPRINT = """
SELECT md5(string_agg(line, ' ' ORDER BY line)) FROM (
  SELECT format('%s.%s %s %s', c.relname, a.attname, a.atttypid, a.attnotnull) AS line
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0
  UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indrelid
    WHERE c.relnamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', proname, prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
  UNION ALL SELECT format('%s %s', tgrelid::regclass, tgname) FROM pg_trigger WHERE NOT tgisinternal
  UNION ALL SELECT version_num FROM alembic_version
  UNION ALL SELECT format('%s %s', starelid, staattnum) FROM pg_statistic JOIN pg_class c ON c.oid = starelid
    WHERE c.relnamespace = 'public'::regnamespace
) AS lines
"""
_WRITTEN = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'
  AND relname <> 'alembic_version' AND (pg_relation_size(oid) > 0 OR reltuples >= 0)
"""
_COUNTED = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL"
_CLOSE_OTHERS = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"


class Databases:
    """The databases of a PostgreSQL server; `template` must be migrated before anything else is asked for."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._migrated = ""  # the fingerprint of the database that the tests share
        self.administer("CREATE DATABASE {}", _TEMPLATE)

    @property
    def template(self) -> str:
        """The URL of the database with all migrations applied, to be copied."""
        return self._url(_TEMPLATE)

    def copy(self, name: str) -> str:
        """Create a database with this name and all migrations applied; return its URL."""
        self.administer(f"CREATE DATABASE {{}} TEMPLATE {_TEMPLATE}", name)
        return self._url(name)

    def empty(self) -> str:
        """Return the URL of the shared database, without rows, with counters reset and no other connections."""
        if not self._migrated:
            self.copy(_NAME)
            self._migrated = self._emptied()
        elif self._emptied() != self._migrated:
            self.administer("DROP DATABASE {} WITH (FORCE)", _NAME)
            self.copy(_NAME)
        return self._url(_NAME)

    def administer(self, statement: LiteralString, name: str) -> None:
        """Execute a statement about the database with this name."""
        with psycopg.connect(f"{self._server_url}/postgres", autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(name)))

    def _emptied(self) -> str:
        """Delete all rows, and return the fingerprint of the database."""
        with psycopg.connect(f"{self._server_url}/{_NAME}", autocommit=True) as connection:
            connection.execute(_CLOSE_OTHERS, [_NAME])
            [fingerprint] = connection.execute(_FINGERPRINT).fetchone() or [""]
            if not self._migrated or fingerprint == self._migrated:
                if written := [sql.Identifier(table) for [table] in connection.execute(_WRITTEN).fetchall()]:
                    connection.execute(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(written)))
                for [sequence] in connection.execute(_COUNTED).fetchall():
                    connection.execute(sql.SQL("ALTER SEQUENCE {} RESTART").format(sql.Identifier(sequence)))
        return str(fingerprint)

    def _url(self, name: str) -> str:
        return urlsplit(f"{self._server_url}/{name}")._replace(scheme="postgresql+psycopg").geturl()
