"""The form of a broadcast: its words, its addresses, and the time at which it is sent."""

import re
from datetime import UTC, datetime, timedelta

from flask_babel import lazy_gettext as _
from wtforms import Field, Form, HiddenField, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import Length, Optional, ValidationError

from feedback_push import language, links, typed_text
from feedback_push.config import current_settings
from feedback_push.database import utcnow
from feedback_push.topics.broadcasts import Draft
from feedback_push.topics.models import LONGEST_BODY, LONGEST_FORM_TOKEN, LONGEST_TITLE, LONGEST_URL, Urgency
from feedback_push.typed_text import TypedForm, Visible

LARGEST_FORM = 64 * 1024  # bytes
_TOO_LONG = _("Please use at most %(max)s characters.")
_ADDRESS = _("Please enter a whole address, such as https://example.org/news.")
_LONGEST_TIME = 40
_TYPED_TIME = "%Y-%m-%dT%H:%M"  # of a browser's field
_LATEST = timedelta(days=365)
_TOKEN = re.compile(rf"[0-9a-f]{{{LONGEST_FORM_TOKEN}}}")
_URGENCIES = {
    Urgency.NORMAL: _("Normal"),
    Urgency.HIGH: _("High: also wakes a phone that saves power"),
    Urgency.LOW: _("Low: may wait until the phone is in use"),
    Urgency.VERY_LOW: _("Very low: may wait until the phone charges"),
}


def _address(_form: Form, field: Field) -> None:
    """Refuse anything but an absolute http or https address, and store it as browsers spell it."""
    address = links.absolute(field.data)
    if address is None or len(address) > LONGEST_URL:
        raise ValidationError(_ADDRESS)
    field.data = address


def _secure(_form: Form, field: Field) -> None:
    if current_settings().https and not field.data.startswith("https:"):
        raise ValidationError(_("Browsers load a picture over https only."))


_ONE_ADDRESS = [Optional(), Length(max=LONGEST_URL, message=_TOO_LONG), _address]


class BroadcastForm(TypedForm):
    """The words of a broadcast and its time; a program may leave out everything but the title."""

    form_token = HiddenField()
    title = StringField(
        _("Title"),
        [Visible(_("Please enter a title.")), Length(max=LONGEST_TITLE, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    body = TextAreaField(
        _("Text"),
        [Optional(), Length(max=LONGEST_BODY, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    url = StringField(_("Link"), _ONE_ADDRESS, filters=[typed_text.storable, typed_text.trimmed])
    image_url = StringField(_("Picture"), [*_ONE_ADDRESS, _secure], filters=[typed_text.storable, typed_text.trimmed])
    urgency = SelectField(_("Urgency"), default=Urgency.NORMAL.value, validate_choice=False)
    when = RadioField(_("When"), validate_choice=False)
    send_at = StringField(_("Date and time"), [Length(max=_LONGEST_TIME)], filters=[typed_text.storable])

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.urgency.choices = [(urgency.value, label) for urgency, label in _URGENCIES.items()]
        self.when.choices = [("now", _("Now")), ("at", _("At a time"))]
        if self.when.data not in ("now", "at"):  # a program names only the time
            self.when.data = "at" if self.send_at.data else "now"
        if not _TOKEN.fullmatch(self.form_token.data or ""):
            self.form_token.data = ""
        self.needs_time = True  # False for a draft and for a test
        self.send_at_utc: datetime | None = None  # the chosen time; None: now

    def show_time(self, when: datetime | None) -> None:
        """Fill in a time as the browser's field needs it, in the reader's time zone."""
        self.send_at.data = when.astimezone(language.time_zone()).strftime(_TYPED_TIME) if when else ""

    def draft(self) -> Draft:
        """Return the words."""
        texts = {name: self[name].data or "" for name in ("title", "body", "url", "image_url")}
        return Draft(**texts, urgency=Urgency(self.urgency.data))

    def validate_urgency(self, field: Field) -> None:
        """Refuse an urgency that RFC 8030 does not know."""
        if field.data not in set(Urgency):
            raise ValidationError(_("Please choose from the list."))

    def validate_send_at(self, field: Field) -> None:
        """Read the time, which without an offset is in the reader's time zone; refuse the past and a far future."""
        if self.when.data != "at" or not self.needs_time:
            return
        try:
            when = datetime.fromisoformat(field.data or "")
            when = (when if when.tzinfo else when.replace(tzinfo=language.time_zone())).astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValidationError(_("Please enter a date and a time.")) from None
        now = utcnow()
        if when < now:
            raise ValidationError(_("This time is in the past."))
        if when > now + _LATEST:
            raise ValidationError(_("Please choose a time within a year."))
        self.send_at_utc = when
        self.show_time(when)
