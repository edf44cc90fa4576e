"""The settings of the signed-in administrator: notifications, language and time zone."""

from collections.abc import Iterable
from datetime import time
from typing import Any

from flask import flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_babel import lazy_gettext as _
from flask_login import current_user
from wtforms import BooleanField, Field, Form, IntegerField, RadioField, SelectField, SelectMultipleField, TimeField
from wtforms.validators import NumberRange, StopValidation, ValidationError
from wtforms.widgets import CheckboxInput

from feedback_push import language
from feedback_push.admin.pages import blueprint, page
from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.notification_validators import LARGEST_BURST, NO_BURST, USUAL_BURST, Burst, QuietHours
from feedback_push.push import digests, preferences, subscriptions
from feedback_push.push.models import PreviewLevel
from feedback_push.push.notification import OPTIONAL_KINDS
from feedback_push.typed_text import TypedForm

_USUAL_NIGHT = QuietHours(time(22), time(7))
_SHOWS = {
    PreviewLevel.ALL: _("The name and the beginning of the message"),
    PreviewLevel.NAME: _("Only the name"),
    PreviewLevel.NOTHING: _("No details"),
}
_WINDOWS = {10: _("10 seconds"), 60: _("1 minute"), 300: _("5 minutes"), 900: _("15 minutes"), 3600: _("1 hour")}


class _OnlyIf:
    """Validate a field only if this box is checked."""

    def __init__(self, box: str) -> None:
        self._box = box

    def __call__(self, form: Form, field: Field) -> None:
        if not form[self._box].data:
            field.errors = []
            raise StopValidation


class _Required:
    """Require a readable value. The library's own messages exist in fewer languages than this site's."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __call__(self, _form: Form, field: Field) -> None:
        if field.data is None:
            field.errors = []
            raise StopValidation(self._message)


def _in_choices(_form: Form, field: Field) -> None:
    chosen = field.data if isinstance(field.data, list) else [field.data]
    if not set(chosen) <= {choice[0] for choice in field.iter_choices()}:
        raise ValidationError(_("Please choose from the list."))


class SettingsForm(TypedForm):
    """All settings of an administrator."""

    kinds = SelectMultipleField(_("Notify me of"), [_in_choices], validate_choice=False, option_widget=CheckboxInput())
    shows = RadioField(_("A notification shows"), [_in_choices], validate_choice=False)
    quiet = BooleanField(_("Hold notifications during these hours"))
    quiet_from = TimeField(_("From"), [_OnlyIf("quiet"), _Required(_("Please enter a time, such as 22:00."))])
    quiet_until = TimeField(_("Until"), [_OnlyIf("quiet"), _Required(_("Please enter a time, such as 07:00."))])
    burst = BooleanField(_("Combine many messages into one notification"))
    burst_count = IntegerField(
        _("More messages than"),
        [
            _OnlyIf("burst"),
            _Required(_("Please enter a number.")),
            NumberRange(1, LARGEST_BURST, _("Please enter a number from %(min)d to %(max)d.")),
        ],
    )
    burst_seconds = SelectField(_("Within"), [_OnlyIf("burst"), _in_choices], validate_choice=False)
    language = SelectField(_("Language"), [_in_choices], validate_choice=False)
    time_zone = SelectField(_("Time zone"), [_in_choices], validate_choice=False)

    def __init__(self, present: dict[str, Any]) -> None:
        super().__init__(data=present)
        self.kinds.choices = [(kind.code, kind.name) for kind in OPTIONAL_KINDS.values()]
        self.shows.choices = [(shows.value, _SHOWS[shows]) for shows in preferences.allowed()]
        self.burst_seconds.choices = _windows(int(present["burst_seconds"]))
        self.language.choices = [("", _("Same as the browser")), *language.LANGUAGES.items()]
        self.time_zone.choices = [("", _site_zone()), *((zone, zone) for zone in _zones(present["time_zone"]))]

    def validate_quiet_until(self, field: Field) -> None:
        """Refuse quiet hours that end at the time they begin, because they would have no end."""
        if field.data == self.quiet_from.data:
            raise ValidationError(_("Quiet hours must end at a different time than they begin."))


@blueprint.route("/settings", methods=["GET", "POST"])
def settings() -> ResponseReturnValue:
    """Show the administrator's settings, and save changes."""
    form = SettingsForm(_current_values())
    if form.validate_on_submit():
        _save(form)
        db.session.commit()
        flash("saved", "settings")
        return redirect(url_for("admin.settings"), 303)
    quiet_until = preferences.quiet_until(current_user)
    return page("admin/settings.html", form=form, quiet_until=quiet_until), 422 if form.is_submitted() else 200


def _current_values() -> dict[str, Any]:
    effective, muted = preferences.of(current_user), preferences.muted_by(current_user)
    hours = effective.quiet_hours or _USUAL_NIGHT
    burst = effective.burst if effective.burst.count else USUAL_BURST
    return {
        "kinds": [code for code in OPTIONAL_KINDS if code not in muted],
        "shows": effective.shows.value,
        "quiet": effective.quiet_hours is not None,
        "quiet_from": hours.begin,
        "quiet_until": hours.end,
        "burst": effective.burst.count > 0,
        "burst_count": burst.count,
        "burst_seconds": str(burst.seconds),
        "language": current_user.language or "",
        "time_zone": current_user.time_zone or "",
    }


def _save(form: SettingsForm) -> None:
    _set_language(form.language.data or None)
    current_user.time_zone = form.time_zone.data or None
    muted = OPTIONAL_KINDS.keys() - set(form.kinds.data)
    preferences.save(
        current_user,
        shows=PreviewLevel(form.shows.data),
        quiet_hours=QuietHours(form.quiet_from.data, form.quiet_until.data) if form.quiet.data else None,
        burst=Burst(form.burst_count.data, int(form.burst_seconds.data)) if form.burst.data else NO_BURST,
        muted=muted,
    )
    digests.apply_to_pending(current_user.id, shows=PreviewLevel(form.shows.data), muted=muted)
    digests.release(current_user.id, utcnow())


def _set_language(chosen: str | None) -> None:
    if chosen != current_user.language:
        current_user.language = chosen
        subscriptions.set_language(current_user, chosen or language.browser_language())


def _windows(present: int) -> list[tuple[str, str]]:
    windows = _WINDOWS if present in _WINDOWS else {present: _("%(count)d seconds", count=present), **_WINDOWS}
    return [(str(seconds), windows[seconds]) for seconds in sorted(windows)]


def _site_zone() -> str:
    return str(gettext("Same as the site: %(zone)s", zone=current_settings().time_zone))


def _zones(present: str) -> Iterable[str]:
    known = language.time_zones()
    return known if present in known or not present else [present, *known]
