"""The texts of static/embed/feedback.js in the reader's language, beside those that a form has of its own."""

from flask_babel import gettext as _


def widget_texts() -> dict[str, str]:
    """Return the texts by the names that the script uses; `{label}` in `optional` stands for a field's label."""
    return {
        "optional": _("%(label)s (optional)", label="{label}"),
        "choose": _("Please choose"),
        "close": _("Close"),
        "sent_with": _("Sent with your message:"),
        "browser": _("Window: %(size)s, language: %(language)s", size="{size}", language="{language}"),
        "sending": _("Your message is being sent."),
        "failed": _("Your message did not get through. Nothing you typed is lost: please try again."),
        "wrong": _("Almost there: please look at the marked fields. Nothing you typed is lost."),
        "thank_you": _("Thank you"),
        "keep_link": _("Keep this link"),
        "private_page": _(
            "On your private page you can read the answer and write again. Only people with the link can see it."
        ),
        "tell_me": _("Tell me when there is an answer"),
        "again": _("Send another message"),
    }
