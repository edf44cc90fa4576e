"""The API keys of the signed-in administrator: list, create and end them; and the secrets of the forms."""

from typing import Any

from flask import abort, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from wtforms import SelectMultipleField, StringField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import DataRequired, InputRequired, Length
from wtforms.widgets import CheckboxInput

from feedback_push import typed_text
from feedback_push.admin import fresh_authentication
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.api import host_users
from feedback_push.auth import api_keys, audit, sessions
from feedback_push.auth.api_keys import Scope
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import User
from feedback_push.auth.roles import owners_only
from feedback_push.database import db
from feedback_push.feedback import site_forms
from feedback_push.typed_text import TypedForm

LONGEST_NAME = 60
_TOO_LONG = _("Please use at most %(max)s characters.")
SCOPES = {
    Scope.READ: _("Read messages"),
    Scope.REPLY: _("Answer messages, and change their state and tags"),
    Scope.NOTIFY: _("Send notifications, and read who has seen them"),
}


class KeyForm(TypedForm):
    """The name and the scopes of a new key."""

    name = StringField(
        _("Name"),
        [DataRequired(_("Please enter a name.")), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    scopes = SelectMultipleField(
        _("A program with this key may"),
        [InputRequired(_("Please choose at least one."))],
        choices=[SelectChoice(scope.value, label) for scope, label in SCOPES.items()],
        option_widget=CheckboxInput(),
    )


@blueprint.get("/keys", endpoint="keys")
def show_keys() -> ResponseReturnValue:
    """Show the administrator's keys."""
    return _page(KeyForm())


@blueprint.post("/keys", endpoint="make_key")
@owners_only
@fresh_authentication.required
def make_key() -> ResponseReturnValue:
    """Create a key and show it; it is not stored, so only this answer has it."""
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    form = KeyForm()
    if not form.validate():
        return _page(form), 422
    return _made(user, form)


@blueprint.post(f"/keys/<{ID}:key_id>/end")
@fresh_authentication.required
def end_key(key_id: int) -> ResponseReturnValue:
    """End one of the administrator's keys."""
    name = api_keys.end(key_id, user=current_user)
    if name is not None:
        audit.record(AuditEvent.API_KEY_ENDED, current_user, key=name)
        flash(gettext("The key “%(name)s” has ended.", name=name), "key")
    db.session.commit()
    return redirect(url_for("admin.keys"), 303)


@blueprint.post("/keys/forms/<form_key:key>", endpoint="show_form_secret")
@owners_only
@fresh_authentication.required
def show_form_secret(key: str) -> ResponseReturnValue:
    """Show the secret with which a site proves who is signed in there."""
    form = site_forms.find(key) or abort(404)
    host_users.keep(form)
    audit.record(AuditEvent.FORM_SECRET_SHOWN, current_user, form=form.name)
    db.session.commit()
    return _page(KeyForm(formdata=None), shown_form=form.key, secret=host_users.secret(form))


def _made(user: User, form: KeyForm) -> ResponseReturnValue:
    sessions.lock(user)
    sessions.lock_current(user)
    scopes = [Scope(value) for value in form.scopes.data]
    try:
        token = api_keys.make(user, form.name.data, scopes)
    except api_keys.TooMany:
        db.session.rollback()
        form.form_errors.append(
            gettext("You have %(max)d keys already. Please end one that is not used any more.", max=api_keys.MOST)
        )
        return _page(form), 422
    audit.record(AuditEvent.API_KEY_MADE, user, key=form.name.data, scopes=" ".join(sorted(scopes)))
    db.session.commit()
    return _page(KeyForm(formdata=None), token=token)


def _page(form: KeyForm, **shown: Any) -> str:
    mine = [(key, [SCOPES[Scope(name)] for name in key.scopes.split()]) for key in api_keys.of(current_user)]
    forms = [(each, each.name) for each in site_forms.list_all()]
    return page("admin/keys.html", form=form, keys=mine, forms=forms, **shown)
