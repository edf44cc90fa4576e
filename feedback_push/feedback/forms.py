"""The feedback form."""

from typing import Any

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, EmailField, Field, RadioField, SelectField, StringField, TextAreaField
from wtforms import Form as Fields
from wtforms.fields.choices import SelectChoice
from wtforms.validators import Length, Optional, ValidationError

from feedback_push import email_address, typed_text
from feedback_push.feedback import form_words
from feedback_push.feedback.form_models import Form, Presence, RatingScale
from feedback_push.typed_text import TypedForm

LONGEST_CONTENT = 200_000
LONGEST_NAME = 200
LONGEST_ANSWER = 5_000
LONGEST_REPLY = 20_000
LONGEST_NOTE = 2_000  # it is stored, and searched, with each of up to 10,000 messages
LARGEST_REPLY_FORM = 12 * LONGEST_REPLY + 8 * 1024  # bytes; a character takes at most twelve in a form
ANSWER = "answer_"  # begins the name of the field for a question of the form's own; the question's id follows
_TOO_LONG = _("Please use at most %(max)s characters.")


def _is_address(_form: Fields, field: Field) -> None:
    # Longer addresses get an error from Length.
    if field.data and len(field.data) <= email_address.LONGEST and not email_address.is_plausible(field.data):
        raise ValidationError(_("This does not look like an e-mail address."))


def _without_blanks(value: str | None) -> str | None:
    return "" if typed_text.is_blank(value) else value


class FeedbackForm(TypedForm):
    """A message and its sender. The e-mail address is optional."""

    content = TextAreaField(
        _("Your message"),
        [typed_text.Visible(_("Please write a message.")), Length(max=LONGEST_CONTENT, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    submitter_name = StringField(
        _("Your name"),
        [typed_text.Visible(_("Please enter your name.")), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    submitter_email = EmailField(
        _("Your e-mail address"),
        [Optional(), Length(max=email_address.LONGEST, message=_TOO_LONG), _is_address],
        filters=[typed_text.storable, typed_text.trimmed],
    )

    def shorten(self) -> None:
        """Cut the typed texts to the accepted lengths, for a page that shows them without validation."""
        longest = {"content": LONGEST_CONTENT, "submitter_name": LONGEST_NAME}
        for field in self:
            if isinstance(field, StringField):  # every text, on one line or on several
                field.data = (field.data or "")[: longest.get(field.short_name, email_address.LONGEST)]


_REPLY: dict[str, Any] = {
    "validators": [typed_text.Visible(_("Please write a message.")), Length(max=LONGEST_REPLY, message=_TOO_LONG)],
    "filters": [typed_text.storable],
}


class ReplyForm(TypedForm):
    """A visitor's reply to the answers to their message."""

    content = TextAreaField(_("Your reply"), **_REPLY)


class AnswerForm(TypedForm):
    """An administrator's answer to a message."""

    content = TextAreaField(_("Your answer"), id="answer", **_REPLY)


class NoteForm(TypedForm):
    """A note to the writers of many messages; each of their conversations stores it."""

    content = TextAreaField(
        _("Your note"),
        [typed_text.Visible(_("Please write a message.")), Length(max=LONGEST_NOTE, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    marks_answered = BooleanField(_("Mark the messages as answered"))


def feedback_form(form: Form, **options: Any) -> FeedbackForm:
    """Return the fields of a form of this site, filled in from the request; `options` are FlaskForm's."""
    fields: dict[str, Any] = {**_name(form.name_field), **_email(form.email_field)}
    if form.categories:
        fields["category"] = _category(form)
    if form.rating != RatingScale.NONE:
        fields["rating"] = _rating(RatingScale(form.rating))
    fields.update((f"{ANSWER}{question['id']}", _answer(question)) for question in form.questions)
    kind: type[FeedbackForm] = type("FeedbackForm", (FeedbackForm,), fields) if fields else FeedbackForm
    return kind(**options)


def field_names(form: Form) -> list[str]:
    """Return the names of the fields that `feedback_form` makes."""
    shown = {
        "submitter_name": form.name_field != Presence.OFF,
        "submitter_email": form.email_field != Presence.OFF,
        "category": bool(form.categories),
        "rating": form.rating != RatingScale.NONE,
    }
    answers = (f"{ANSWER}{question['id']}" for question in form.questions)
    return ["content", *(name for name, is_shown in shown.items() if is_shown), *answers]


def _name(presence: str) -> dict[str, Any]:
    # In WTForms, None in a subclass removes the field; without an entry it stays required.
    if presence != Presence.OPTIONAL:
        return {} if presence == Presence.REQUIRED else {"submitter_name": None}
    optional = [Optional(), Length(max=LONGEST_NAME, message=_TOO_LONG)]
    return {"submitter_name": StringField(_("Your name"), optional, [typed_text.storable, _without_blanks])}


def _email(presence: str) -> dict[str, Any]:
    if presence != Presence.REQUIRED:
        return {} if presence == Presence.OPTIONAL else {"submitter_email": None}
    missing = typed_text.Visible(_("Please enter your e-mail address."))
    needed = [missing, Length(max=email_address.LONGEST, message=_TOO_LONG), _is_address]
    filters = [typed_text.storable, typed_text.trimmed]
    return {"submitter_email": EmailField(_("Your e-mail address"), needed, filters)}


def _category(form: Form) -> Any:
    choices = [SelectChoice(form_words.stored(each), form_words.label(each)) for each in form.categories]
    choices.insert(0, SelectChoice("", _("Please choose")))
    return SelectField(_("What is it about?"), [Optional(), _in_choices], choices=choices, validate_choice=False)


def _rating(scale: RatingScale) -> Any:
    choices = [SelectChoice(value, form_words.rating(value)) for value in scale.values]
    return RadioField(_("Your rating"), [Optional(), _in_choices], choices=choices, validate_choice=False)


def _answer(question: dict[str, Any]) -> Any:
    first = typed_text.Visible(_("Please answer this question.")) if question["required"] else Optional()
    longest = Length(max=LONGEST_ANSWER, message=_TOO_LONG)
    kind = TextAreaField if question["long"] else StringField
    return kind(form_words.label(question["labels"]), [first, longest], filters=[typed_text.storable, _without_blanks])


def _in_choices(_form: Fields, field: Field) -> None:
    if field.data not in {choice[0] for choice in field.iter_choices()}:
        raise ValidationError(_("Please choose from the list."))
