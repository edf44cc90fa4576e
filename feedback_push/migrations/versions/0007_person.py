"""Find messages by their author's e-mail address.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_OF_SOMEBODY = sa.text("person IS NOT NULL")
_message = sa.table("feedback_message", sa.column("id"), sa.column("submitter_email"), sa.column("person"))


def upgrade() -> None:
    op.add_column("feedback_message", sa.Column("person", sa.String(320), nullable=True))
    has_address = _message.c.submitter_email != ""
    op.execute(
        _message.update().where(has_address).values(person=sa.func.lower(sa.func.trim(_message.c.submitter_email)))
    )
    _spell_as_the_application_does()
    op.create_index(
        "ix_feedback_message_person",
        "feedback_message",
        ["person", "id"],
        sqlite_where=_OF_SOMEBODY,
        postgresql_where=_OF_SOMEBODY,
    )


def downgrade() -> None:
    op.drop_index("ix_feedback_message_person", table_name="feedback_message")
    op.drop_column("feedback_message", "person")


def _spell_as_the_application_does() -> None:
    """Fold the few addresses with non-ASCII letters here, because the databases may lower only ASCII letters."""
    bytes_ = "octet_length(person)" if op.get_bind().dialect.name == "postgresql" else "length(CAST(person AS BLOB))"
    rows = op.get_bind().execute(
        sa.select(_message.c.id, _message.c.person).where(sa.text(f"{bytes_} <> length(person)"))
    )
    for row in rows.all():
        op.execute(_message.update().where(_message.c.id == row.id).values(person=row.person.casefold()[:320]))
