"""The forms of this site: find the one that a visitor uses, with the limits in force, and list all of them."""

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace

from flask_babel import gettext
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session, selectinload
from werkzeug.routing import BaseConverter

from feedback_push import database
from feedback_push.config import current_settings
from feedback_push.database import db
from feedback_push.feedback.form_models import DEFAULT_KEY, LONGEST_KEY, Form, Limits, Presence, RatingScale, SiteLimit

MOST = 100
_PAGES = ("complete", "confirm", "challenge", "new", "preview", "limits")  # below /feedback/ or the dashboard's forms
RESERVED = (*_PAGES, DEFAULT_KEY)
_KEY = re.compile(rf"[a-z0-9][a-z0-9-]{{1,{LONGEST_KEY - 2}}}[a-z0-9]")
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


class KeyConverter(BaseConverter):
    """The converter `form_key` of routes, which leaves the pages beside the forms to themselves."""

    regex = rf"(?!(?:{'|'.join(_PAGES)})$)[a-z0-9-]{{1,{LONGEST_KEY}}}"


def is_key(text: str) -> bool:
    """Return whether a form of the owner's own could have this key."""
    return len(text) <= LONGEST_KEY and _KEY.fullmatch(text) is not None and text not in RESERVED


def new_key() -> str:
    """Return a random key."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(10))


def find(key: str) -> Form | None:
    """Return a form as it is stored now, with its limits, detached from any session; None if there is none.

    The key `default` always has a form. No transaction stays open, and no writer keeps this read waiting.
    """
    if not (key == DEFAULT_KEY or is_key(key)):
        return None
    with database.reader(db.engine) as connection, Session(connection, expire_on_commit=False) as session:
        this = select(Form).where(Form.key == key).options(selectinload(Form.recipients))
        form = session.scalar(this) or (usual() if key == DEFAULT_KEY else None)
        if form:
            form.limits = _limits(form, {each.name: each.value for each in session.scalars(select(SiteLimit))})
        session.expunge_all()
        return form


def usual() -> Form:
    """Return the default form as the settings describe it; it is not stored."""
    settings = current_settings()
    form = Form(
        key=DEFAULT_KEY,
        name=gettext("Main form"),
        closed_at=None,
        origins=[],
        words={},
        name_field=Presence.OPTIONAL if settings.form_name_optional else Presence.REQUIRED,
        email_field=Presence.OPTIONAL,
        rating=RatingScale.NONE,
        categories=[],
        questions=[],
        thanks_url="",
        keeps_query=False,
        notifies_all=True,
    )
    form.limits = Limits(notify_daily=settings.notification_daily_limit)
    return form


def site_limits() -> dict[str, int]:
    """Return the limits that somebody has set for the site, by name."""
    return {each.name: each.value for each in db.session.scalars(select(SiteLimit))}


def stored(key: str, *, lock: bool = False) -> Form | None:
    """Return a form in the caller's session, locked if asked; None if it has no row."""
    this = select(Form).where(Form.key == key).options(selectinload(Form.recipients))
    return db.session.scalar(this.with_for_update(of=Form) if lock else this)


def list_all() -> Sequence[Form]:
    """Return the forms, the default form first, then by name."""
    rows = db.session.scalars(select(Form).order_by(func.lower(Form.name), Form.id)).all()
    default = next((form for form in rows if form.is_default), None) or usual()
    return [default, *(form for form in rows if not form.is_default)]


def names() -> dict[str, str]:
    """Return the names of all forms by their keys, the default form first."""
    return {form.key: form.name for form in list_all()}


def count() -> int:
    """Return the number of forms with a row."""
    return db.session.scalar(select(func.count()).select_from(Form)) or 0


def recipients(stored_key: str | None) -> list[int] | None:
    """Return the administrators to notify of a message of this form; None for all of them."""
    form = stored(stored_key or DEFAULT_KEY)
    return form.recipient_ids if form else None


def delete_form(form: Form) -> None:
    """Delete a form; its messages keep its key. The caller commits."""
    db.session.execute(delete(Form).where(Form.id == form.id))


def _limits(form: Form, site: dict[str, int]) -> Limits:
    limits = replace(Limits(notify_daily=current_settings().notification_daily_limit), **site)
    own = {name: getattr(form, name) for name in ("network_hourly", "form_hourly", "notify_daily")}
    limits = replace(limits, **{name: value for name, value in own.items() if value is not None})
    return replace(limits, total_hourly=limits.form_hourly) if limits.form_hourly is not None else limits
