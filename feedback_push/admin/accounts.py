"""All accounts, for owners: invite and remove people, change their roles, and make links for new passwords."""

from typing import Any

from flask import abort, flash, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from wtforms import EmailField, RadioField
from wtforms.fields.choices import SelectChoice
from wtforms.validators import InputRequired, Length

from feedback_push import email_address, typed_text
from feedback_push.admin import fresh_authentication, phone
from feedback_push.admin.pages import ID, blueprint, page
from feedback_push.auth import accounts, activity, audit, invitations, notices, reset_links, roles
from feedback_push.auth.accounts import AccountError
from feedback_push.auth.audit_models import AuditEvent
from feedback_push.auth.models import NoticeEvent, Role, User
from feedback_push.auth.roles import owners_only
from feedback_push.database import db, utcnow
from feedback_push.push import keys, subscriptions
from feedback_push.typed_text import TypedForm

_TOO_LONG = _("Please use at most %(max)s characters.")
_ROLES = {
    Role.MEMBER: _("Member: reads and answers messages"),
    Role.OWNER: _("Owner: may do everything"),
}


class InviteForm(TypedForm):
    """The e-mail address and the role of a person who is invited."""

    email = EmailField(
        _("E-mail"),
        [InputRequired(_("Please enter the e-mail address.")), Length(max=email_address.LONGEST, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    role = RadioField(
        _("Role"), choices=[SelectChoice(role.value, label) for role, label in _ROLES.items()], default=Role.MEMBER
    )


@blueprint.get("/accounts", endpoint="accounts")
@owners_only
def show_accounts() -> ResponseReturnValue:
    """Show all accounts and open invitations."""
    return _page(InviteForm(formdata=None))


@blueprint.post("/accounts/invitations")
@owners_only
@fresh_authentication.required
def invite() -> ResponseReturnValue:
    """Make an invitation and show its link; it is not stored, so only this answer has it."""
    form = InviteForm()
    if not form.validate():
        return _page(form), 422
    roles.lock_owners(current_user)
    try:
        address = invitations.make(form.email.data, Role(form.role.data), _me())
    except AccountError as error:
        db.session.rollback()
        form.email.errors = [str(error)]
        return _page(form), 422
    db.session.commit()
    expires_at = utcnow() + invitations.LASTS
    return _page(InviteForm(formdata=None), link=address, link_is_for=form.email.data, link_expires_at=expires_at)


@blueprint.post(f"/accounts/invitations/<{ID}:invitation_id>/revoke")
@owners_only
def revoke_invitation(invitation_id: int) -> ResponseReturnValue:
    """End an invitation."""
    roles.lock_owners(current_user)
    email = invitations.revoke(invitation_id) or abort(404)
    audit.record(AuditEvent.INVITATION_REVOKED, current_user, account=email)
    db.session.commit()
    return _done(gettext("The invitation of %(email)s is revoked.", email=email))


@blueprint.post(f"/accounts/<{ID}:account_id>/role")
@owners_only
@fresh_authentication.required
def change_role(account_id: int) -> ResponseReturnValue:
    """Make an account an owner or a member."""
    role = request.form["role"]
    if role not in set(Role):
        abort(400)
    roles.lock_owners(current_user)
    user = _found(account_id)
    try:
        changed = roles.change(user, Role(role))
    except roles.LastOwner:
        return _only_owner()
    if changed:
        audit.record(AuditEvent.ROLE_CHANGED, current_user, account=user.email, role=role)
        notices.tell(user, NoticeEvent.ROLE_CHANGED, role=role)
    db.session.commit()
    text = gettext("The role of %(name)s is changed: %(role)s.", name=user.display_name, role=roles.label(role))
    if user.id == current_user.id and role == Role.MEMBER:
        return redirect(url_for("admin.account"), 303)  # this page is none of theirs any more
    return _done(text)


@blueprint.post(f"/accounts/<{ID}:account_id>/reset-link")
@owners_only
@fresh_authentication.required
def make_reset_link(account_id: int) -> ResponseReturnValue:
    """Make a link with which another account sets a new password, and show it; only this answer has it."""
    roles.lock_owners(current_user)
    user = _other(account_id)
    address = reset_links.make(user, _me(), drops_second_factor="drops_second_factor" in request.form)
    db.session.commit()
    expires_at = utcnow() + reset_links.LASTS
    return _page(InviteForm(formdata=None), link=address, link_is_for=user.display_name, link_expires_at=expires_at)


@blueprint.post(f"/accounts/<{ID}:account_id>/remove")
@owners_only
@fresh_authentication.required
def remove_account(account_id: int) -> ResponseReturnValue:
    """Remove another account with its devices, sessions and keys, for good."""
    roles.lock_owners(current_user)
    user, actor = _other(account_id), _me()
    email = user.email
    audit.record(AuditEvent.ACCOUNT_REMOVED, actor, account=email)
    notices.tell(actor, NoticeEvent.ACCOUNT_REMOVED, account=email)
    try:
        accounts.delete(user)
    except roles.LastOwner:
        return _only_owner()
    db.session.commit()
    return _done(gettext("The account %(email)s is removed.", email=email))


def _page(form: InviteForm, **shown: Any) -> str:
    if link := shown.get("link"):
        shown["qr_code"] = phone.qr_code(link)
    return page(
        "admin/accounts.html",
        form=form,
        accounts=activity.of_all(),
        devices=subscriptions.reached_by_account(keys.cached().live),
        invitations=invitations.pending(),
        role_name=roles.label,
        other_role={Role.OWNER: Role.MEMBER, Role.MEMBER: Role.OWNER},
        label=audit.label,
        **shown,
    )


def _me() -> User:
    user: User = current_user._get_current_object()  # noqa: SLF001 - Werkzeug's name for it
    return user


def _found(account_id: int) -> User:
    return db.session.get(User, account_id, populate_existing=True) or abort(404)


def _other(account_id: int) -> User:
    """Return another account: an owner cannot remove their own, and has no need of a link to it."""
    return _found(account_id) if account_id != current_user.id else abort(404)


def _only_owner() -> ResponseReturnValue:
    db.session.rollback()
    flash(gettext("This is the only owner, and a site needs one. First make another account an owner."), "refused")
    return redirect(url_for("admin.accounts"), 303)


def _done(text: str) -> ResponseReturnValue:
    flash(text, "accounts")
    return redirect(url_for("admin.accounts"), 303)
