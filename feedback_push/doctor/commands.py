"""Command for operators: check everything that notifications need."""

import json
import sys

import click
from flask.cli import with_appcontext

from feedback_push.doctor import examination, report


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the results as JSON.")
@with_appcontext
def doctor(as_json: bool) -> None:
    """Check everything that notifications need; exit with 1 if something is wrong."""
    results = [*examination.inside(), *examination.outside()]
    if as_json:
        click.echo(json.dumps(report.document(results), indent=2))
    else:
        click.echo("\n".join(report.lines(results)))
    sys.exit(0 if report.is_well(results) else 1)
