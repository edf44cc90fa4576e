"""The site's forms: list, make, change, preview, close and delete them, and set the limits of the site."""

from flask import abort, flash, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext
from flask_login import current_user
from markupsafe import Markup
from sqlalchemy import delete
from werkzeug.datastructures import MultiDict

from feedback_push import language, request_limits
from feedback_push.admin import form_editor, fresh_authentication
from feedback_push.admin.form_editor import FormFields, SiteLimitFields
from feedback_push.admin.pages import blueprint, page
from feedback_push.auth import accounts, audit
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.roles import owners_only
from feedback_push.database import db, utcnow
from feedback_push.feedback import form_description, form_words, site_forms
from feedback_push.feedback import forms as feedback_forms
from feedback_push.feedback.form_models import DEFAULT_KEY, Form, SiteLimit
from feedback_push.feedback.views import address_of
from feedback_push.language import LANGUAGES

_LARGEST = 512 * 1024  # bytes: about 20,000 characters in a script whose characters each take twelve bytes in a form
_CHARACTERS = 40_000
_FIELDS = 1_000  # one for each administrator who may be chosen
_KEY = "form_key:key"


@blueprint.get("/forms", endpoint="forms")
@owners_only
def show_forms() -> ResponseReturnValue:
    """Show all forms, and the limits of the site."""
    return _list(SiteLimitFields(data=site_forms.site_limits()))


@blueprint.route("/forms/new", methods=["GET", "POST"])
@request_limits.takes_up_to(_LARGEST, fields=_FIELDS, characters=_CHARACTERS)
@owners_only
def new_form() -> ResponseReturnValue:
    """Make a form."""
    return _edit(form_editor.new_form())


@blueprint.route(f"/forms/<{_KEY}>", methods=["GET", "POST"])
@request_limits.takes_up_to(_LARGEST, fields=_FIELDS, characters=_CHARACTERS)
@owners_only
def edit_form(key: str) -> ResponseReturnValue:
    """Show a form with its preview, and save changes."""
    return _edit(_stored(key))


@blueprint.post("/forms/preview")
@request_limits.takes_up_to(_LARGEST, fields=_FIELDS, characters=_CHARACTERS)
@owners_only
def preview_form() -> ResponseReturnValue:
    """Return what a form with the typed values would show, for the script of the page."""
    if "name" not in request.form:
        abort(400)
    fields = FormFields(form_editor.new_form(), (), language=language.current())
    form = _typed(fields)
    with force_locale(_chosen_language(fields)):
        return jsonify(form_description.of(form))


@blueprint.post(f"/forms/<{_KEY}>/close")
@owners_only
def close_form(key: str) -> ResponseReturnValue:
    """Let a form take no more messages."""
    return _set_closed(key, closed=True)


@blueprint.post(f"/forms/<{_KEY}>/open")
@owners_only
def open_form(key: str) -> ResponseReturnValue:
    """Let a closed form take messages again."""
    return _set_closed(key, closed=False)


@blueprint.post(f"/forms/<{_KEY}>/delete")
@owners_only
@fresh_authentication.required
def delete_form(key: str) -> ResponseReturnValue:
    """Delete a form; its messages stay. The default form goes back to its settings."""
    form = site_forms.stored(key, lock=True) or abort(404)
    site_forms.delete_form(form)
    audit.record(AuditEvent.FORM_DELETED, current_user, form=form.name)
    db.session.commit()
    flash(gettext("The form is deleted. Its messages are still here."), "forms")
    return redirect(url_for("admin.forms"), 303)


@blueprint.post("/forms/limits", endpoint="limits")
@owners_only
def save_limits() -> ResponseReturnValue:
    """Save the limits of the site."""
    fields = SiteLimitFields()
    if not any(name in request.form for name in fields.data if name != "csrf_token"):
        abort(400)
    if not fields.validate():
        return _list(fields), 422
    db.session.execute(delete(SiteLimit))
    values = {name: value for name, value in fields.data.items() if isinstance(value, int)}
    db.session.add_all(SiteLimit(name=name, value=value) for name, value in values.items())
    audit.record(AuditEvent.LIMITS_CHANGED, current_user)
    db.session.commit()
    flash(gettext("The limits are saved."), "forms")
    return redirect(url_for("admin.forms"), 303)


def _list(fields: SiteLimitFields) -> str:
    return page("admin/forms.html", forms=site_forms.list_all(), fields=fields, usual=site_forms.usual().limits)


def _stored(key: str) -> Form:
    form = site_forms.stored(key, lock=request.method == "POST")
    return form or (site_forms.usual() if key == DEFAULT_KEY else abort(404))


def _set_closed(key: str, *, closed: bool) -> ResponseReturnValue:
    form = _stored(key)
    db.session.add(form)
    form.closed_at = utcnow() if closed else None
    audit.record(AuditEvent.FORM_CLOSED if closed else AuditEvent.FORM_OPENED, current_user, form=form.name)
    db.session.commit()
    text = gettext("The form is closed. It takes no more messages.") if closed else gettext("The form is open again.")
    flash(text, "forms")
    return redirect(url_for("admin.forms"), 303)


def _edit(form: Form) -> ResponseReturnValue:
    """Show a form in the editor, with what was typed; save it if that was asked and is valid."""
    fields = FormFields(form, accounts.list_all(), language=language.current())
    if not fields.is_submitted():
        return _editor(form, form, fields)
    if "preview" in request.form:
        return _editor(form, _typed(fields), fields)
    if not fields.validate() or not _save(form, fields):
        db.session.rollback()
        return _editor(form, _typed(fields), fields), 422
    flash(gettext("The form is saved."), "forms")
    return redirect(url_for("admin.edit_form", key=form.key), 303)


def _save(form: Form, fields: FormFields) -> bool:
    """Save what was typed and commit; return False if the form cannot be added."""
    is_new = not form.key
    if is_new and site_forms.count() >= site_forms.MOST:
        fields.form_errors.append(gettext("There are %(max)d forms already. Delete one first.", max=site_forms.MOST))
        return False
    key = form.key or fields.key.data or site_forms.new_key()
    if is_new and site_forms.stored(key):
        fields.key.errors = [gettext("Another form has this address.")]
        return False
    form.key = key
    fields.fill(form)
    fields.fill_recipients(form)
    db.session.add(form)
    audit.record(AuditEvent.FORM_ADDED if is_new else AuditEvent.FORM_CHANGED, current_user, form=form.name)
    db.session.commit()
    return True


def _editor(form: Form, shown: Form, fields: FormFields) -> str:
    with force_locale(_chosen_language(fields)):
        empty = feedback_forms.feedback_form(shown, formdata=MultiDict(), meta={"csrf": False})
        preview = Markup(render_template("admin/_form_preview.html", form=shown, fields=empty, words=form_words))  # noqa: S704 - a rendered template
    return page(
        "admin/form.html",
        form=form,
        fields=fields,
        preview=preview,
        languages=LANGUAGES,
        opened=_opened(shown),
        questions=form_editor.QUESTIONS,
        opened_questions={question["id"] for question in shown.questions},
        usual=site_forms.usual().limits,
        public=address_of(form) if form.key else None,
    )


def _typed(fields: FormFields) -> Form:
    form = form_editor.new_form()
    fields.fill(form)
    return form


def _chosen_language(fields: FormFields) -> str:
    chosen = fields.preview_language.data
    return chosen if chosen in LANGUAGES else language.current()


def _opened(form: Form) -> set[str]:
    """Return the languages whose words are shown at once: those with words, or the reader's own."""
    return set(form.words) or {language.current()}
