"""Webhooks: add targets, choose their events, test, pause and delete them, and send an event again."""

from typing import Any

from flask import abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_login import current_user

from feedback_push import language
from feedback_push.admin import fresh_authentication, webhook_labels
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.admin.webhook_forms import AddForm, ChoiceForm
from feedback_push.auth import audit, sessions
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.auth.roles import OwnersOnly, owners_only
from feedback_push.database import db, utcnow
from feedback_push.feedback import inbox, site_forms
from feedback_push.webhooks import apprise_service, deliveries, targets
from feedback_push.webhooks.models import PauseReason, Target, TargetKind

_SAID = "webhooks"


@blueprint.get("/webhooks", endpoint="webhooks")
@owners_only
def show_webhooks() -> ResponseReturnValue:
    """List the targets, with the form for a new one after a fresh proof of identity."""
    return _list(AddForm() if sessions.is_fresh(current_user) else None)


@blueprint.get("/webhooks/new", endpoint="new_webhook")
@owners_only
@fresh_authentication.required
def show_form() -> ResponseReturnValue:
    """Show the form for a new target.

    The proof comes before the form, because an address is a secret that must not wait in a cookie for a proof.
    """
    return _list(AddForm())


@blueprint.post("/webhooks")
@owners_only
@fresh_authentication.required
def add_webhook() -> ResponseReturnValue:
    """Add a target, and show its signing secret; only this answer has it."""
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    form = AddForm()
    if not form.validate():
        return _list(form), 422
    sessions.lock_current(user)
    try:
        target, secret = targets.add(TargetKind(form.kind.data), form.url.data, language.current(), form.choice)
    except targets.TooMany:
        db.session.rollback()
        form.form_errors.append(gettext("You have %(max)d webhooks already. Please delete one.", max=targets.MOST))
        return _list(form), 422
    audit.record(AuditEvent.WEBHOOK_ADDED, user, webhook=target.name, place=target.place)
    db.session.commit()
    return _page(target, secret=secret)


@blueprint.get(f"/webhooks/<{ID}:target_id>", endpoint="webhook")
@owners_only
def show_webhook(target_id: int) -> ResponseReturnValue:
    """Show a target with its latest events."""
    return _page(_found(target_id))


@blueprint.post(f"/webhooks/<{ID}:target_id>/change")
@owners_only
def change_webhook(target_id: int) -> ResponseReturnValue:
    """Change the name and the events of a target; its address stays, or it would be another target."""
    if "name" not in request.form:  # what a form leaves out keeps its value, but this is no form
        abort(400)
    target = _found(target_id)
    form = ChoiceForm(target)
    if not form.validate():
        return _page(target, form=form), 422
    targets.change(target, form.choice)
    audit.record(AuditEvent.WEBHOOK_CHANGED, current_user, webhook=target.name)
    db.session.commit()
    return _done(target, gettext("The webhook is saved."))


@blueprint.post(f"/webhooks/<{ID}:target_id>/secret")
@owners_only
@fresh_authentication.required
def replace_webhook_secret(target_id: int) -> ResponseReturnValue:
    """Replace the signing secret and show the new one; only this answer has it."""
    target = _found(target_id)
    if not webhook_labels.is_webhook(target):
        abort(404)
    secret = targets.replace_secret(target)
    audit.record(AuditEvent.WEBHOOK_SECRET_REPLACED, current_user, webhook=target.name)
    db.session.commit()
    return _page(target, secret=secret)


@blueprint.post(f"/webhooks/<{ID}:target_id>/test")
@owners_only
def test_webhook(target_id: int) -> ResponseReturnValue:
    """Let a worker send a test event; the page shows the answer."""
    target = _found(target_id)
    if not target.paused_at:
        deliveries.add_test(target)
    db.session.commit()
    return _done(target, "")


@blueprint.post(f"/webhooks/<{ID}:target_id>/pause")
@owners_only
def pause_webhook(target_id: int) -> ResponseReturnValue:
    """Send nothing more to a target until it is resumed."""
    target = _found(target_id)
    targets.pause(target, PauseReason.OWNER, utcnow())
    audit.record(AuditEvent.WEBHOOK_PAUSED, current_user, webhook=target.name)
    db.session.commit()
    return _done(target, gettext("The webhook is paused."))


@blueprint.post(f"/webhooks/<{ID}:target_id>/resume")
@owners_only
def resume_webhook(target_id: int) -> ResponseReturnValue:
    """Send everything that has waited for a paused target."""
    target = _found(target_id)
    targets.resume(target)
    audit.record(AuditEvent.WEBHOOK_RESUMED, current_user, webhook=target.name)
    db.session.commit()
    deliveries.wake()
    return _done(target, gettext("The webhook is resumed."))


@blueprint.post(f"/webhooks/<{ID}:target_id>/remove")
@owners_only
def remove_webhook(target_id: int) -> ResponseReturnValue:
    """Delete a target and the history of its events."""
    target = _found(target_id)
    name = target.name
    audit.record(AuditEvent.WEBHOOK_REMOVED, current_user, webhook=name)
    targets.remove(target)
    db.session.commit()
    flash(gettext("The webhook “%(name)s” is deleted.", name=name), _SAID)
    return redirect(url_for("admin.webhooks"), 303)


@blueprint.post(f"/webhooks/events/<{ID}:delivery_id>/send")
def send_webhook_again(delivery_id: int) -> ResponseReturnValue:
    """Send an event again, now; it keeps its identifier."""
    delivery = deliveries.find(delivery_id) or abort(404)
    target_id, message_id = delivery.target_id, delivery.about.id if delivery.about else None
    if message_id is None and not current_user.is_owner:
        raise OwnersOnly
    deliveries.send_again(delivery)
    db.session.commit()
    if message_id is not None and (request.form.get("on") == "message" or not current_user.is_owner):
        return redirect(url_for("admin.message", message_id=message_id, _anchor="webhooks"), 303)
    return redirect(url_for("admin.webhook", target_id=target_id, _anchor="events"), 303)


@blueprint.get(f"/webhooks/<{ID}:target_id>/events", endpoint="webhook_deliveries")
@owners_only
def show_deliveries(target_id: int) -> ResponseReturnValue:
    """Return the latest events of a target alone, for the script that keeps the page up to date."""
    return render_template("admin/_webhook_events.html", sent=webhook_labels.of_target(_found(target_id)))


@blueprint.get(f"/messages/<{ID}:message_id>/webhooks", endpoint="message_webhooks")
def show_deliveries_of_message(message_id: int) -> ResponseReturnValue:
    """Return the webhooks of a message alone, for the same script."""
    message = inbox.find(message_id) or abort(404)
    return render_template("admin/_webhook_events.html", sent=webhook_labels.of_message(message))


def _found(target_id: int) -> Target:
    return targets.find(target_id) or abort(404)


def _done(target: Target, text: str) -> ResponseReturnValue:
    if text:
        flash(text, _SAID)
    return redirect(url_for("admin.webhook", target_id=target.id), 303)


def _list(form: AddForm | None) -> str:
    names = site_forms.names()
    rows = [(target, webhook_labels.wanted(target, names)) for target in targets.everything()]
    return page("admin/webhooks.html", form=form, targets=rows, has_apprise=apprise_service.is_installed())


def _page(target: Target, *, form: ChoiceForm | None = None, secret: str = "") -> str:
    shown: dict[str, Any] = {"sent": webhook_labels.of_target(target), "secret": secret}
    paused = webhook_labels.PAUSED.get(PauseReason(target.pause_reason)) if target.pause_reason else None
    form = form or ChoiceForm(target, formdata=None)  # the request may have sent another form
    return page("admin/webhook.html", target=target, form=form, paused=paused, **shown)
