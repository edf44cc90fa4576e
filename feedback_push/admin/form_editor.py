"""The fields with which an administrator describes a form: check them, and copy them to a form and back."""

from collections.abc import Sequence
from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, Field, IntegerField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms import Form as Fields
from wtforms import TextAreaField as Text
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, NumberRange, Optional, StopValidation, ValidationError
from wtforms.widgets import CheckboxInput

from feedback_push import typed_text
from feedback_push.auth.models import User
from feedback_push.feedback import form_words, origins, site_forms
from feedback_push.feedback.form_models import (
    LONGEST_KEY,
    LONGEST_LABEL,
    MOST_QUESTIONS,
    Form,
    FormRecipient,
    Presence,
    RatingScale,
)
from feedback_push.language import LANGUAGES
from feedback_push.typed_text import TypedForm
from feedback_push.url_validators import is_https_page

MOST_CATEGORIES = 20
LONGEST_NAME = 60
_LONGEST_TITLE, _LONGEST_BUTTON, _LONGEST_TEXT = 120, 40, 1_000
_LONGEST_URL = 500
_LARGEST_LIMIT = 1_000_000
_TOO_LONG = _("Please use at most %(max)s characters.")
_PRESENCES = {
    Presence.REQUIRED: _("Required"),
    Presence.OPTIONAL: _("Optional"),
    Presence.OFF: _("Not asked"),
}
_SCALES = {
    RatingScale.NONE: _("None"),
    RatingScale.STARS: _("One to five stars"),
    RatingScale.THUMBS: _("Thumbs up or down"),
}
QUESTIONS = tuple(str(number) for number in range(1, MOST_QUESTIONS + 1))  # their ids


def _one_line(value: str | None) -> str | None:
    return " ".join((typed_text.storable(value) or "").split())


def _lines(value: str | None) -> str | None:
    return "\n".join(line for line in map(_one_line, (typed_text.storable(value) or "").splitlines()) if line)


def _line(label: object, longest: int, *more: Any, **options: Any) -> StringField:
    return StringField(label, [*more, Length(max=longest, message=_TOO_LONG)], filters=[_one_line], **options)


def _text(label: object, longest: int, *more: Any, clean: Any = typed_text.trimmed) -> Text:
    return Text(label, [*more, Length(max=longest, message=_TOO_LONG)], filters=[typed_text.storable, clean])


def _needed(_form: Fields, field: Field) -> None:
    if not field.raw_data or typed_text.is_blank(field.data):
        raise StopValidation(_("Please enter a name."))


def _number(label: object) -> IntegerField:
    between = NumberRange(1, _LARGEST_LIMIT, _("Please enter a number from %(min)d to %(max)d."))
    return IntegerField(label, [Optional(), between])


def _in_choices(_form: Fields, field: Field) -> None:
    chosen = field.data if isinstance(field.data, list) else [field.data]
    if not set(chosen) <= {choice[0] for choice in field.iter_choices()}:
        raise ValidationError(_("Please choose from the list."))


def _choice(kind: type, label: object, names: dict[Any, Any]) -> Any:
    choices = [SelectChoice(str(value), name) for value, name in names.items()]
    return kind(label, [_in_choices], choices=choices, validate_choice=False)


class LimitFields(TypedForm):
    """The limits of the site, or of one form; an empty one is the usual."""

    network_hourly = _number(_("Messages an hour from one network without a proof"))
    form_hourly = _number(_("Messages an hour to this form"))
    notify_daily = _number(_("Notifications a day because of one network"))


class SiteLimitFields(TypedForm):
    """The limits that hold for every form without its own."""

    network_hourly = _number(_("Messages an hour from one network without a proof"))
    total_hourly = _number(_("Messages an hour to the whole site without a proof"))
    notify_daily = _number(_("Notifications a day because of one network"))


class FormFields(LimitFields):
    """The settings of a form."""

    key = _line(_("Address"), LONGEST_KEY)
    name = _line(_("Name"), LONGEST_NAME, _needed)
    origins = _text(_("Sites that may use it"), origins.LONGEST_LIST)
    name_field = _choice(SelectField, _("Name"), _PRESENCES)
    email_field = _choice(SelectField, _("E-mail address"), _PRESENCES)
    rating = _choice(SelectField, _("Rating"), _SCALES)
    thanks_url = _line(_("Page to show instead"), _LONGEST_URL)
    keeps_query = BooleanField(_("Keep the query of page addresses, which may be private"))
    notifies = _choice(RadioField, _("Notify"), {"all": _("All administrators"), "chosen": _("Only these:")})
    recipients = SelectMultipleField(
        _("Administrators"), [_in_choices], validate_choice=False, coerce=str, option_widget=CheckboxInput()
    )
    preview_language = _choice(SelectField, _("Language"), LANGUAGES)

    for _code in LANGUAGES:
        locals()[f"title_{_code}"] = _line(_("Title"), _LONGEST_TITLE)
        locals()[f"intro_{_code}"] = _text(_("Introduction"), _LONGEST_TEXT)
        locals()[f"button_{_code}"] = _line(_("Button"), _LONGEST_BUTTON)
        locals()[f"thanks_{_code}"] = _text(_("Thanks"), _LONGEST_TEXT)
        locals()[f"categories_{_code}"] = _text(
            _("Categories, one per line"), MOST_CATEGORIES * (LONGEST_LABEL + 1), clean=_lines
        )
        for _id in QUESTIONS:
            locals()[f"question{_id}_{_code}"] = _line(LANGUAGES[_code], LONGEST_LABEL)
    for _id in QUESTIONS:
        locals()[f"required{_id}"] = BooleanField(_("Must be answered"))
        locals()[f"long{_id}"] = BooleanField(_("Room for a long answer"))

    def __init__(self, form: Form, users: Sequence[User], *, language: str) -> None:
        self._form = form
        super().__init__(data={**_values(form), "preview_language": language})
        self.recipients.choices = [SelectChoice(str(user.id), user.display_name) for user in users]

    def validate_key(self, field: Field) -> None:
        """Refuse an address that no form may have; an empty one becomes a random one."""
        if field.data and field.data != self._form.key and not site_forms.is_key(field.data):
            raise ValidationError(_("Use 3 to 40 small letters, digits and hyphens; some words are taken."))

    def validate_origins(self, field: Field) -> None:
        """Refuse a list with an entry that is not an origin."""
        try:
            origins.read(field.data or "")
        except origins.TooMany:
            raise ValidationError(_("Please name at most %(max)d sites.", max=origins.MOST)) from None
        except origins.NotAnOrigin as error:
            text = _("This is not like https://shop.example.org: %(entry)s", entry=str(error)[:60])
            raise ValidationError(text) from None

    def validate_thanks_url(self, field: Field) -> None:
        """Refuse an address that is not a page with https."""
        if field.data and not is_https_page(field.data):
            raise ValidationError(_("Please enter an address such as https://shop.example.org/thanks."))

    def validate_recipients(self, field: Field) -> None:
        """Refuse to notify nobody."""
        if self.notifies.data == "chosen" and not field.data:
            raise ValidationError(_("Please choose at least one administrator."))

    def validate(self, extra_validators: Any = None) -> bool:
        """Check each field, and that the categories of all languages belong together."""
        valid: bool = super().validate(extra_validators)
        lists = {code: self._categories(code) for code in LANGUAGES}
        most = next((len(found) for found in lists.values() if found), 0)
        for code, found in lists.items():
            if problem := _problem(found, most):
                self[f"categories_{code}"].errors = [problem]
                valid = False
        return valid

    def fill(self, form: Form) -> None:
        """Copy the typed values to a form; before they are validated, only for a preview."""
        form.name = self.name.data or ""
        form.origins = _origins(self.origins.data or "")
        form.words = {code: self._words(code) for code in LANGUAGES if any(self._words(code).values())}
        form.name_field = _member(Presence, self.name_field.data, Presence.REQUIRED)
        form.email_field = _member(Presence, self.email_field.data, Presence.OPTIONAL)
        form.rating = _member(RatingScale, self.rating.data, RatingScale.NONE)
        form.categories = self._all_categories()
        form.questions = [found for each in QUESTIONS if (found := self._question(each))["labels"]]
        form.thanks_url = self.thanks_url.data or ""
        form.keeps_query = self.keeps_query.data
        form.notifies_all = self.notifies.data != "chosen"
        for name in ("network_hourly", "form_hourly", "notify_daily"):
            setattr(form, name, self[name].data)

    def fill_recipients(self, form: Form) -> None:
        """Copy the chosen administrators to a stored form."""
        wanted = set() if form.notifies_all else {int(user_id) for user_id in self.recipients.data or ()}
        kept = [each for each in form.recipients if each.user_id in wanted]
        more = wanted - {each.user_id for each in kept}
        form.recipients = [*kept, *(FormRecipient(user_id=user_id) for user_id in sorted(more))]

    def _words(self, code: str) -> dict[str, str]:
        texts = {slot: self[f"{slot}_{code}"].data or "" for slot in form_words.SLOTS}
        return {slot: text for slot, text in texts.items() if not typed_text.is_blank(text)}

    def _categories(self, code: str) -> list[str]:
        return [line for line in (self[f"categories_{code}"].data or "").split("\n") if line]

    def _all_categories(self) -> list[dict[str, str]]:
        lists = {code: self._categories(code) for code in LANGUAGES}
        count = min(max(map(len, lists.values())), MOST_CATEGORIES)
        return [
            {code: found[number][:LONGEST_LABEL] for code, found in lists.items() if number < len(found)}
            for number in range(count)
        ]

    def _question(self, question_id: str) -> dict[str, Any]:
        typed = {code: self[f"question{question_id}_{code}"].data or "" for code in LANGUAGES}
        return {
            "id": question_id,
            "labels": {code: text for code, text in typed.items() if not typed_text.is_blank(text)},
            "required": self[f"required{question_id}"].data,
            "long": self[f"long{question_id}"].data,
        }


def _values(form: Form) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(form, name) for name in ("key", "name", "thanks_url", "keeps_query")}
    values.update((name, getattr(form, name)) for name in ("network_hourly", "form_hourly", "notify_daily"))
    values.update((name, str(getattr(form, name))) for name in ("name_field", "email_field", "rating"))
    values["key"] = "" if form.key is None else form.key
    values["origins"] = "\n".join(form.origins)
    values["notifies"] = "all" if form.notifies_all else "chosen"
    values["recipients"] = [str(each.user_id) for each in form.recipients]
    for code in LANGUAGES:
        values.update((f"{slot}_{code}", form.words.get(code, {}).get(slot, "")) for slot in form_words.SLOTS)
        values[f"categories_{code}"] = "\n".join(filter(None, (each.get(code, "") for each in form.categories)))
    for question in form.questions:
        values.update((f"question{question['id']}_{code}", text) for code, text in question["labels"].items())
        values[f"required{question['id']}"], values[f"long{question['id']}"] = question["required"], question["long"]
    return values


def _problem(lines: list[str], most: int) -> str | None:
    if len(lines) > MOST_CATEGORIES:
        return str(_("Please write at most %(max)d categories.", max=MOST_CATEGORIES))
    if any(len(line) > LONGEST_LABEL or typed_text.is_blank(line) for line in lines):
        return str(_("A category has 1 to %(max)d characters.", max=LONGEST_LABEL))
    if len({line.casefold() for line in lines}) < len(lines):
        return str(_("Please write each category once."))
    if lines and len(lines) != most:
        return str(_("Please write as many categories as in the other languages, in the same order."))
    return None


def _origins(typed: str) -> list[str]:
    try:
        return origins.read(typed)
    except ValueError:
        return []


def _member(kind: Any, value: str | None, otherwise: Any) -> Any:
    return kind(value) if value in set(kind) else otherwise


def new_form() -> Form:
    """Return a form as it is offered to somebody who makes one; it has no key yet."""
    form = site_forms.usual()
    form.key, form.name = "", ""
    return form
