"""The doctor's checks as a page for owners: those inside the site at once, those of the connections with a button."""

from flask.typing import ResponseReturnValue

from feedback_push.admin.pages import blueprint, page
from feedback_push.auth.roles import owners_only
from feedback_push.doctor import examination, report
from feedback_push.doctor.results import Result, State


@blueprint.get("/doctor", endpoint="doctor")
@owners_only
def show_doctor() -> ResponseReturnValue:
    """Show the checks of the settings, the database and the deliveries, which take milliseconds."""
    return _page(examination.inside(), asked=False)


@blueprint.post("/doctor", endpoint="check_now")
@owners_only
def check_now() -> ResponseReturnValue:
    """Also ask the broker, the site itself and the push services; this takes a few seconds at most."""
    return _page([*examination.inside(), *examination.outside()], asked=True)


def _page(results: list[Result], *, asked: bool) -> str:
    faults = [result for result in results if result.state == State.WRONG]
    others = [result for result in results if result.state != State.WRONG]
    return page("admin/doctor.html", faults=faults, others=others, title=report.title, asked=asked)
