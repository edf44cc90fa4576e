"""Search a folded text that is stored with the message.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

from feedback_push import search_text

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_AT_ONCE = 200  # messages; one may have 200,000 characters
_message = sa.table(
    "feedback_message",
    *(sa.column(name) for name in ("id", "submitter_name", "submitter_email", "content", "search_text")),
)
# feedback/search.py uses the same expression, because PostgreSQL uses the index for no other. It keeps the words
# unchanged, because PostgreSQL's own parser would recognise numbers and addresses in them.
_EXPRESSION = "array_to_tsvector(string_to_array(search_text, ' '))"
# The text is already folded, so every non-ASCII character belongs to a word.
_OPTIONS = "tokenize='ascii'"
_EXPRESSION_OF_0005 = r"""
    to_tsvector('simple', regexp_replace(regexp_replace(left(normalize(
        submitter_name || ' ' || submitter_email || ' ' || left(content, 50000), NFKD), 60000),
        '[\u0300-\u036f]+', '', 'g'),
        '[\u0001-\u002f\u003a-\u0040\u005b-\u0060\u007b-\u00bf\u2000-\u206f]+', ' ', 'g'))
"""
_COLUMNS_OF_0005 = ("submitter_name", "submitter_email", "content")
_OPTIONS_OF_0005 = "tokenize='unicode61 remove_diacritics 2 categories ''L* N* Co Mn Mc'''"
_EVENTS = ("INSERT", "DELETE", "UPDATE")


def upgrade() -> None:
    _take_time()
    _drop_index()  # first, because PostgreSQL would compute its expression for every written row
    op.add_column("feedback_message", sa.Column("search_text", sa.Text(), nullable=False, server_default=""))
    _fold_what_is_there()
    _create_index(_EXPRESSION, ("search_text",), _OPTIONS)


def downgrade() -> None:
    _take_time()
    _drop_index()
    op.drop_column("feedback_message", "search_text")
    _create_index(_EXPRESSION_OF_0005, _COLUMNS_OF_0005, _OPTIONS_OF_0005)


def _fold_what_is_there() -> None:
    """Fold the messages in batches, the oldest first."""
    connection, last = op.get_bind(), 0
    columns = (_message.c.submitter_name, _message.c.submitter_email)
    content = sa.func.substr(_message.c.content, 1, search_text.LONGEST_SOURCE)
    batch = sa.select(_message.c.id, *columns, content).order_by(_message.c.id).limit(_AT_ONCE)
    fill = _message.update().where(_message.c.id == sa.bindparam("row")).values(search_text=sa.bindparam("folded"))
    while rows := connection.execute(batch.where(_message.c.id > last)).all():
        connection.execute(fill, [{"row": row.id, "folded": search_text.of(*row[1:])} for row in rows])
        last = rows[-1].id


def _take_time() -> None:
    """Remove the application's time limit for statements, because indexing a million messages takes longer."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("SET LOCAL statement_timeout = 0")


def _create_index(expression: str, columns: tuple[str, ...], options: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"CREATE INDEX ix_feedback_message_search ON feedback_message USING gin (({expression}))")
        return
    names = ", ".join(columns)
    op.execute(
        f"CREATE VIRTUAL TABLE feedback_search USING fts5 ({names},"
        f" content='feedback_message', content_rowid='id', {options})"
    )
    for event, action in zip(_EVENTS, _actions(columns), strict=True):
        of = f" OF {names}" if event == "UPDATE" else ""
        name = f"feedback_search_{event.lower()}"
        op.execute(f"CREATE TRIGGER {name} AFTER {event}{of} ON feedback_message BEGIN {action} END")
    op.execute("INSERT INTO feedback_search (feedback_search) VALUES ('rebuild')")


def _actions(columns: tuple[str, ...]) -> tuple[str, str, str]:
    """Return the triggers' statements after an INSERT, a DELETE and an UPDATE."""
    names = ", ".join(columns)
    old, new = (", ".join(f"{row}.{name}" for name in columns) for row in ("old", "new"))
    add = f"INSERT INTO feedback_search (rowid, {names}) VALUES (new.id, {new});"  # noqa: S608
    take_out = f"INSERT INTO feedback_search (feedback_search, rowid, {names}) VALUES ('delete', old.id, {old});"  # noqa: S608
    return add, take_out, take_out + add


def _drop_index() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX IF EXISTS ix_feedback_message_search")  # long runs of marks may have made it unusable
        return
    for event in _EVENTS:
        op.execute(f"DROP TRIGGER feedback_search_{event.lower()}")
    op.execute("DROP TABLE feedback_search")
