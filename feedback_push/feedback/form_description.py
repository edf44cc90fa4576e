"""Describe a form in the reader's language, for a program that shows it: its words and its fields."""

from typing import Any

from flask_babel import gettext
from wtforms import EmailField, Field, RadioField, SelectField, StringField, TextAreaField
from wtforms.validators import Length

from feedback_push.feedback import form_words, submissions
from feedback_push.feedback.form_models import Form
from feedback_push.feedback.forms import ANSWER

_KINDS = {TextAreaField: "long-text", StringField: "text", EmailField: "email", SelectField: "choice"}


def of(form: Form) -> dict[str, Any]:
    """Return the title, the intro, the button and the fields of a form, ready for JSON.

    They are those of `fields`, but a label says if its field is optional.
    """
    return {
        "key": form.key,
        **{slot: form_words.text(form, slot) for slot in (form_words.TITLE, form_words.INTRO, form_words.BUTTON)},
        "fields": [{**field, "label": _label(field)} for field in fields(form)],
    }


def fields(form: Form) -> list[dict[str, Any]]:
    """Return the fields of a form in the order of its page, ready for JSON.

    A field has a `name` (as in `submissions.read`), a `label`, a `kind` ("stars" and "thumbs" are ratings), `required`,
    `max_length` and `choices`; a choice has a `value` and a `label`, and that of a rating a `symbol`. `placeholder` is
    the text of no choice.
    """
    described = (_field(form, field) for field in submissions.fields_of(form, {}))
    return sorted(described, key=lambda field: _place(field["name"]))


def _place(name: str) -> int:
    order = ("rating", "category", "content", ANSWER, "name", "email")
    return order.index(ANSWER if name.startswith(ANSWER) else name)


def _label(field: dict[str, Any]) -> str:
    label: str = field["label"]
    return label if field["required"] else gettext("%(label)s (optional)", label=label)


def _field(form: Form, field: Field) -> dict[str, Any]:
    is_rating = isinstance(field, RadioField)
    offered = [(choice.value, str(choice.label)) for choice in getattr(field, "choices", None) or []]
    choices = [{"value": value, "label": label} for value, label in offered if value]
    if is_rating:
        choices = [{**choice, "symbol": form_words.symbol(choice["value"])} for choice in choices]
    limits = [each.max for each in field.validators if isinstance(each, Length)]
    return {
        "name": submissions.NAMES.get(field.short_name, field.short_name),
        "kind": form.rating if is_rating else _KINDS[type(field)],
        "label": str(field.label.text),
        "required": not (field.flags.optional or choices),
        "max_length": min(limits, default=max((len(choice["value"]) for choice in choices), default=0)),
        "choices": choices,
        "placeholder": next((label for value, label in offered if not value), ""),
    }
