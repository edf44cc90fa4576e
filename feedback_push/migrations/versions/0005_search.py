"""Add full-text search over messages, and a covering index for each list.

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_LISTS = {
    "inbox": sa.text("deleted_at IS NULL AND state IN ('new', 'read')"),
    "new": sa.text("deleted_at IS NULL AND state = 'new'"),
    "archived": sa.text("deleted_at IS NULL AND state = 'archived'"),
    "spam": sa.text("deleted_at IS NULL AND state = 'spam'"),
}
# feedback/search.py uses the same expression, because PostgreSQL uses the index for no other.
_EXPRESSION = r"""
    to_tsvector('simple', regexp_replace(regexp_replace(left(normalize(
        submitter_name || ' ' || submitter_email || ' ' || left(content, 50000), NFKD), 60000),
        '[\u0300-\u036f]+', '', 'g'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f]+', ' ', 'g'))
"""
_COLUMNS = "submitter_name, submitter_email, content"
_OLD = "old.submitter_name, old.submitter_email, old.content"
_NEW = "new.submitter_name, new.submitter_email, new.content"
# Marks are parts of words, or FTS5 would split words in Hindi and in pointed Hebrew. Latin letters lose their marks.
_TOKENIZER = "unicode61 remove_diacritics 2 categories ''L* N* Co Mn Mc''"
_ADD = f"INSERT INTO feedback_search (rowid, {_COLUMNS}) VALUES (new.id, {_NEW});"  # noqa: S608
_TAKE_OUT = f"INSERT INTO feedback_search (feedback_search, rowid, {_COLUMNS}) VALUES ('delete', old.id, {_OLD});"  # noqa: S608
_TRIGGERS = {
    "INSERT": _ADD,
    "DELETE": _TAKE_OUT,
    f"UPDATE OF {_COLUMNS}": _TAKE_OUT + _ADD,
}


def upgrade() -> None:
    _index_lists("id", "state", "deleted_at")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE INDEX ix_feedback_message_search ON feedback_message USING gin (({_EXPRESSION}))")
        return
    op.execute(
        f"CREATE VIRTUAL TABLE feedback_search USING fts5 ({_COLUMNS},"
        f" content='feedback_message', content_rowid='id', tokenize='{_TOKENIZER}')"
    )
    for event, action in _TRIGGERS.items():
        name = f"feedback_search_{event.split()[0].lower()}"
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON feedback_message BEGIN {action} END")
    op.execute("INSERT INTO feedback_search (feedback_search) VALUES ('rebuild')")


def downgrade() -> None:
    _index_lists("id")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_feedback_message_search", table_name="feedback_message")
        return
    for event in _TRIGGERS:
        op.execute(f"DROP TRIGGER feedback_search_{event.split()[0].lower()}")
    op.execute("DROP TABLE feedback_search")


def _index_lists(*columns: str) -> None:
    for name, where in _LISTS.items():
        index = f"ix_feedback_message_{name}"
        op.drop_index(index, table_name="feedback_message")
        op.create_index(index, "feedback_message", [*columns], sqlite_where=where, postgresql_where=where)
