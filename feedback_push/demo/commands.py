"""The command that adds demonstration data, and removes it."""

import click
from flask.cli import with_appcontext
from sqlalchemy import exists, select
from sqlalchemy.exc import IntegrityError

from feedback_push.database import db
from feedback_push.demo import filling, removal
from feedback_push.demo.models import is_there
from feedback_push.feedback import site_forms
from feedback_push.feedback.models import Message
from feedback_push.installation import COMMAND

REMOVE = f"{COMMAND} demo --remove"
_THERE_ALREADY = f"This site holds demonstration data already. Remove it with: {REMOVE}"


@click.command("demo")
@click.option("--remove", is_flag=True, help="Remove the demonstration data, and nothing else.")
@click.option("--beside-real-messages", is_flag=True, help="Add it although this site has messages.")
@with_appcontext
def demo(remove: bool, beside_real_messages: bool) -> None:
    """Fill the site with messages that nobody wrote, to look at it.

    They are in English, German and Lithuanian, and come with conversations, tags, a form, a saved search and a topic
    with broadcasts. Nobody is notified. A banner on each page of the dashboard tells that the data is not real.
    """
    if remove:
        _remove()
    elif is_there():
        click.echo(_THERE_ALREADY)
    elif not beside_real_messages and db.session.scalar(select(exists().where(Message.id.is_not(None)))):
        raise click.ClickException(
            "This site has real messages, and the demonstration would stand among them. "
            "Use another site, or add --beside-real-messages."
        )
    else:
        _add()


def _add() -> None:
    if site_forms.count() >= site_forms.MOST:
        raise click.ClickException("This site has as many forms as it may have.")
    try:
        added = filling.add().rows
        db.session.commit()
    except IntegrityError:  # another command was faster
        db.session.rollback()
        raise click.ClickException(_THERE_ALREADY) from None
    except filling.FULL:
        db.session.rollback()
        raise click.ClickException("This site has as many tags, topics or saved searches as it may have.") from None
    messages, broadcasts = len(added["messages"]), len(added["broadcasts"])
    click.echo(f"Added {messages} messages, a form, and a topic with {broadcasts} broadcasts.")
    click.echo(f"Nobody wrote them, and nobody was notified. Remove them with: {REMOVE}")


def _remove() -> None:
    kept = removal.remove()
    db.session.commit()
    if kept is None:
        click.echo("This site holds no demonstration data.")
        return
    click.echo("Removed the demonstration data.")
    for name in kept:
        click.echo(f"Kept “{name}”, because real messages, followers or broadcasts have come to it.")
