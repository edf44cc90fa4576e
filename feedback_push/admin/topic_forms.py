"""The form that adds or changes a topic."""

import re
import unicodedata
from collections.abc import Callable
from typing import Any

from flask_babel import gettext
from flask_babel import lazy_gettext as _
from wtforms import Field, Form, IntegerField, RadioField, StringField, TextAreaField
from wtforms.validators import Length, NumberRange, Optional, StopValidation, ValidationError

from feedback_push import typed_text
from feedback_push.topics import topics
from feedback_push.topics.models import LONGEST_DESCRIPTION, LONGEST_NAME, LONGEST_SLUG, Topic
from feedback_push.typed_text import TypedForm, Visible

_TOO_LONG = _("Please use at most %(max)s characters.")
_NUMBER = _("Please enter a number from %(min)d to %(max)d.")
_SEPARATORS = re.compile(r"[^a-z0-9]+")
_USUAL_SLUG = "topic"


def _is_number(_form: Form, field: Field) -> None:
    if field.data is None:
        field.errors = []  # the library's own message exists in fewer languages
        raise StopValidation(_("Please enter a number."))


def _between(least: int, most: int) -> list[Any]:
    return [_is_number, NumberRange(least, most, _NUMBER)]


class TopicForm(TypedForm):
    """The fields of a topic that an administrator chooses; what a program leaves out has its usual value."""

    name = StringField(
        _("Name"),
        [Visible(_("Please enter a name.")), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    slug = StringField(
        _("Address"), [Length(max=LONGEST_SLUG, message=_TOO_LONG)], filters=[typed_text.storable, typed_text.trimmed]
    )
    description = TextAreaField(
        _("Description"),
        [Optional(), Length(max=LONGEST_DESCRIPTION, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    visibility = RadioField(_("Who can find it"), default="public", validate_choice=False)
    cap_count = IntegerField(_("Broadcasts at most"), _between(0, 1000), default=0)
    cap_days = IntegerField(_("Within days"), _between(1, 365), default=7)
    pause_after = IntegerField(_("Pause after unopened broadcasts"), _between(0, 1000), default=20)

    def __init__(self, obj: Topic | None = None) -> None:
        hidden = obj is not None and not obj.is_public
        super().__init__(obj=obj, data={"visibility": "hidden" if hidden else "public"})
        self._topic = obj
        self.visibility.choices = [
            ("public", _("Everybody: it is listed on the page for followers")),
            ("hidden", _("Only people with its address")),
        ]

    def suggest_slug(self, find: Callable[[str], Topic | None]) -> None:
        """Make a slug from the name if none was typed; add a number if another topic has it."""
        if self.slug.data or "slug" in self.too_long:
            return
        base = suggested_slug(self.name.data or "")
        free = (f"{base}-{number}" if number > 1 else base for number in range(1, topics.MOST_TOPICS + 2))
        self.slug.data = next((slug for slug in free if find(slug) in (None, self._topic)), base)

    def refuse_slug(self) -> None:
        """Say that another topic has this slug."""
        self.slug.errors = [gettext("Another topic has this address.")]

    def values(self) -> dict[str, Any]:
        """Return the values of a topic's columns."""
        texts = {name: self[name].data or "" for name in ("name", "slug", "description")}
        numbers = {name: self[name].data for name in ("cap_count", "cap_days", "pause_after")}
        return {**texts, **numbers, "is_public": self.visibility.data == "public"}

    def validate_slug(self, field: Field) -> None:
        """Refuse a slug that cannot be one, or that another topic has."""
        if not topics.is_slug(field.data):
            raise ValidationError(_("Please use lower-case letters, digits and single hyphens, such as new-tricks."))
        if topics.find(field.data) not in (None, self._topic):
            raise ValidationError(_("Another topic has this address."))

    def validate_visibility(self, field: Field) -> None:
        """Refuse anything but the choices."""
        if field.data not in ("public", "hidden"):
            raise ValidationError(_("Please choose from the list."))


def suggested_slug(name: str) -> str:
    """Return a slug made of a name's letters without their accents; static/admin/topic.js makes the same."""
    plain = unicodedata.normalize("NFKD", name[:LONGEST_NAME].lower().replace("ß", "ss"))
    base = _SEPARATORS.sub("-", "".join(char for char in plain if not unicodedata.combining(char)))
    return base.strip("-")[: LONGEST_SLUG - 4].strip("-") or _USUAL_SLUG
