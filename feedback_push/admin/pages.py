"""The common parts of all dashboard pages: the blueprint, the access check, and the state of push."""

from typing import Any

from flask import Blueprint, g, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from feedback_push import bidi, browser_name, ids, language, links, security
from feedback_push.admin import alarm_notices, interrupted_actions, labels, push_status
from feedback_push.auth import notices, second_factor
from feedback_push.demo import models as demo_data
from feedback_push.feedback import lists

blueprint = Blueprint("admin", __name__)
blueprint.after_request(security.no_store)
blueprint.add_app_template_filter(browser_name.localized, "browser_name")
blueprint.add_app_template_filter(bidi.isolated, "isolated")
blueprint.add_app_template_filter(labels.sender, "sender")
blueprint.add_app_template_filter(links.linked, "linked")
blueprint.add_app_template_filter(language.ago, "ago")
ID = f"int(max={ids.LARGEST})"  # for a route
_TO_ADD_A_FACTOR = {
    "admin.factors",
    "admin.new_passkey_options",
    "admin.add_passkey",
    "admin.begin_app",
    "admin.confirm_app",
    "admin.make_recovery_codes",
    "admin.resume",
}
_PUBLIC = {"admin.service_worker", "admin.subscribe_script", "admin.manifest", "admin.offline"}


@blueprint.before_request
def _only_for_administrators() -> ResponseReturnValue | None:
    if request.endpoint in _PUBLIC:
        return None
    if current_user.is_authenticated:
        language.set_locale(current_user.language, current_user.time_zone)
        return _ask_for_second_factor()
    return sign_in()


def _ask_for_second_factor() -> ResponseReturnValue | None:
    """Redirect to the page to add one if the site demands a second factor and the grace is over."""
    g.second_factor_demand = second_factor.demand(current_user)
    if g.second_factor_demand and g.second_factor_demand.is_over and request.endpoint not in _TO_ADD_A_FACTOR:
        return redirect(url_for("admin.factors"), 303)
    return None


def sign_in() -> ResponseReturnValue:
    """Redirect to the sign-in page, which leads back to this page, or to the form that this request has sent."""
    if interrupted_actions.keep():
        return redirect(url_for("auth.login", next=url_for("admin.resume")), 303)
    wanted = security.path_within_site(security.requested_path()) if request.method == "GET" else None
    return redirect(url_for("auth.login", next=wanted))


def page(template: str, **context: Any) -> str:
    """Render a page of the dashboard."""
    # Not a context processor, because that would query the database for error pages too.
    common = {
        "push": push_status.current(current_user),
        "unread": lists.unread(),
        "second_factor_demand": g.second_factor_demand,
        "unseen": notices.newest_unseen(current_user),
        "notice_title": notices.title,
        "alarms": alarm_notices.lines(current_user),
        "is_demo": demo_data.is_there(),
    }
    return render_template(template, **common, **context)
