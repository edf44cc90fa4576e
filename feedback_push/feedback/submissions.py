"""Read, admit and store a message for a form: the one place that the pages, the plain form and the API share.

A caller reads the fields, judges if a person sent them (`spam`), asks `admit`, calls `store`, commits, and wakes the
workers with `outbox.wake(received.entry_id)`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, urlsplit

from flask_babel import gettext
from flask_babel import lazy_gettext as _l
from werkzeug.datastructures import MultiDict

from feedback_push import typed_text
from feedback_push.feedback import conversations, form_words, inbox, quotas
from feedback_push.feedback.form_models import LANGUAGE, LONGEST_LANGUAGE, LONGEST_TITLE, LONGEST_URL, VIEWPORT, Form
from feedback_push.feedback.forms import ANSWER, FeedbackForm, feedback_form, field_names
from feedback_push.feedback.models import Message
from feedback_push.feedback.quotas import Verdict
from feedback_push.feedback.spam_reasons import PROVEN, SpamReason

NAMES = {"submitter_name": "name", "submitter_email": "email"}  # the public names of the page's fields
_PAGE_FIELDS = ("page_url", "page_title", "viewport", "language")
_LONGEST_SENT_URL = 8_000  # with a query, which may be cut
_MOST_ERRORS = 20
_LONGEST_UNKNOWN = 60  # characters of an unknown field's name that an error repeats
_KEPT_IN_URLS = "!$&'()*+,/:;=@%~"  # by quote; % stays, so that nothing is encoded twice
_REFUSALS = {
    Verdict.FULL: (429, _l("You sent a lot in a short time. Nothing is lost: please try again in a few minutes.")),
    Verdict.FORM_FULL: (
        429,
        _l("This form has received a lot of messages in the last hour. Nothing is lost: please try again later."),
    ),
    Verdict.ONLY_SHORT: (
        429,
        _l(
            "We received a lot of text in the last hour, so we accept only short messages at the moment. Nothing is "
            "lost: please shorten yours to 2,000 characters, or try again later."
        ),
    ),
    Verdict.DISK_LOW: (
        503,
        _l(
            "We have little storage space left, so we accept only short messages at the moment. Nothing is lost: "
            "please shorten yours to 2,000 characters, or try again later."
        ),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Submission:
    """The valid values of one message for a form; a field that is off or empty is an empty text or None."""

    content: str
    name: str = ""
    email: str = ""
    category: str | None = None
    rating: str | None = None
    page_url: str | None = None
    page_title: str | None = None
    viewport: str | None = None
    language: str | None = None
    answers: tuple[tuple[str, str], ...] = ()  # pairs of a question and its answer

    @property
    def size(self) -> int:
        """The size of the texts in bytes."""
        return sum(len(text.encode()) for text in (self.content, *(answer for _, answer in self.answers)))


@dataclass(frozen=True)
class Received:
    """A stored message: its id, the token of its private link, and the outbox entry to wake, if there is one."""

    message_id: int
    token: str
    entry_id: int | None


class Invalid(Exception):
    """Fields that a form does not accept: the texts by the field's public name, and the fields to show again."""

    def __init__(self, errors: dict[str, list[str]], fields: FeedbackForm) -> None:
        super().__init__(", ".join(errors))
        self.errors, self.fields = errors, fields


class Refused(Exception):
    """A message that cannot be taken now: an HTTP status, a text for the visitor, and the seconds to wait."""

    retry_after = 60

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.status, text = _REFUSALS[verdict]
        self.text = str(text)
        super().__init__(self.text)


def read(form: Form, sent: Mapping[str, Any], *, strict: bool = False) -> Submission:
    """Return the valid values of the fields sent to a form, in the visitor's language; raise Invalid.

    The fields are `content`, `name`, `email`, `category`, `rating`, `page_url`, `page_title`, `viewport`, `language`,
    and `answer_<id>` for each question. A value is a text; a rating may be a number, and None counts as missing.
    `strict` refuses unknown fields, other types and a bad `page_url`; without it they are ignored, because the visitor
    cannot change them.
    """
    public = _public_names(form)
    texts, errors = _texts(sent, {*public, *_PAGE_FIELDS}, strict=strict)
    fields = fields_of(form, texts)
    if not fields.validate():
        for name, own in public.items():
            errors.setdefault(name, [str(error) for error in fields[own].errors])
    url, problem = _page_url(form, texts.get("page_url", ""))
    if strict and problem:
        errors["page_url"] = [problem]
    errors = {name: found for name, found in errors.items() if found}
    if errors:
        raise Invalid(errors, fields)
    return replace(
        of_fields(form, fields),
        page_url=url,
        page_title=_page_title(texts.get("page_title", "")),
        viewport=_matching(VIEWPORT, texts.get("viewport", "")),
        language=_matching(LANGUAGE, texts.get("language", "")),
    )


def fields_of(form: Form, texts: Mapping[str, str]) -> FeedbackForm:
    """Return the fields of a form's page with these texts, by public name; neither is validated."""
    typed = MultiDict({own: texts[name] for name, own in _public_names(form).items() if name in texts})
    return feedback_form(form, formdata=typed, meta={"csrf": False})


def of_fields(form: Form, fields: FeedbackForm) -> Submission:
    """Return the values of a page's fields, which must be valid."""
    values = {field.short_name: field.data for field in fields}
    answers = (
        (form_words.stored(question["labels"]), values.get(f"{ANSWER}{question['id']}") or "")
        for question in form.questions
    )
    return Submission(
        content=values["content"],
        name=values.get("submitter_name") or "",
        email=values.get("submitter_email") or "",
        category=values.get("category") or None,
        rating=values.get("rating") or None,
        answers=tuple((question, answer) for question, answer in answers if answer),
    )


def admit(form: Form, submission: Submission, spam_reason: SpamReason | None) -> None:
    """Count a message against the limits of its network, its form and the site; raise Refused.

    Call it before any database query: it asks Redis.
    """
    verdict = quotas.verdict(submission.size, proven=spam_reason in PROVEN, form=form)
    if verdict != Verdict.TAKEN:
        raise Refused(verdict)


def store(
    form: Form,
    submission: Submission,
    spam_reason: SpamReason | None,
    *,
    notify: bool,
    user_id: int | None = None,
    host_user: str | None = None,
) -> Received:
    """Add the message, its notification and its private link in one transaction. The caller commits.

    `user_id` is of the account that is signed in here, `host_user` of the user proven by the site with the form.

    Ask `notify = spam_reason is not None or quotas.may_notify(form)` before, because that asks Redis.
    """
    message = _message(form, submission)
    message.user_id, message.host_user = user_id, host_user
    entry_id = inbox.receive(message, spam_reason, notify=notify, recipients=form.recipient_ids)
    return Received(message.id, conversations.begin(message), entry_id)


def _message(form: Form, submission: Submission) -> Message:
    answers = [{"question": question, "answer": answer} for question, answer in submission.answers]
    return Message(
        content=submission.content,
        submitter_name=submission.name,
        submitter_email=submission.email,
        form_key=form.stored_key,
        category=submission.category,
        rating=submission.rating,
        page_url=submission.page_url,
        page_title=submission.page_title,
        viewport=submission.viewport,
        language=submission.language,
        answers=answers or None,
    )


def _public_names(form: Form) -> dict[str, str]:
    return {NAMES.get(name, name): name for name in field_names(form)}


def _texts(sent: Mapping[str, Any], known: set[str], *, strict: bool) -> tuple[dict[str, str], dict[str, list[str]]]:
    texts: dict[str, str] = {}
    errors: dict[str, list[str]] = {}
    for name, value in sent.items():
        if name == "rating" and isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10:
            value = str(value)  # noqa: PLW2901
        if name in known and isinstance(value, str):
            texts[name] = value
        elif strict and len(errors) < _MOST_ERRORS and not (name in known and value is None):
            problem = gettext("Please send a text.") if name in known else gettext("This form has no such field.")
            errors[name[:_LONGEST_UNKNOWN]] = [str(problem)]
    return texts, errors


def _page_url(form: Form, sent: str) -> tuple[str | None, str | None]:
    """Return a page's address in ASCII and without its fragment, and the problem with it if it cannot be used.

    It has no query unless the form keeps that.
    """
    if not sent:
        return None, None
    url = _readable(sent, keeps_query=form.keeps_query) if len(sent) <= _LONGEST_SENT_URL else None
    if url is not None:
        return url, None
    text = gettext("This must be the address of a page, with at most %(max)d characters.", max=LONGEST_URL)
    return None, str(text)


def _readable(sent: str, *, keeps_query: bool) -> str | None:
    try:
        parts = urlsplit(sent)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        return None
    query = quote(parts.query, safe=f"{_KEPT_IN_URLS}?", errors="replace") if keeps_query else ""
    path = quote(parts.path, safe=_KEPT_IN_URLS, errors="replace")
    netloc = quote(parts.netloc, safe=":[].-", errors="replace")
    url = f"{parts.scheme}://{netloc}{path or '/'}{f'?{query}' if query else ''}"
    return url if len(url) <= LONGEST_URL else None


def _page_title(sent: str) -> str | None:
    title = " ".join((typed_text.storable(sent[: 4 * LONGEST_TITLE]) or "").split())[:LONGEST_TITLE]
    return None if typed_text.is_blank(title) else title


def _matching(pattern: str, sent: str) -> str | None:
    return sent if len(sent) <= LONGEST_LANGUAGE and re.fullmatch(pattern, sent) else None
