"""Define the forms that take a password or the code of a sign-in link."""

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, EmailField, PasswordField, StringField
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length

from feedback_push import email_address, typed_text
from feedback_push.auth.password_validators import LONGEST
from feedback_push.auth.sign_in_links import LONGEST_TOKEN
from feedback_push.typed_text import TypedForm

_TOO_LONG = _("Please use at most %(max)s characters.")
_PASSWORD = [InputRequired(_("Please enter your password.")), Length(max=LONGEST, message=_TOO_LONG)]


class LoginForm(TypedForm):
    """E-mail, password, and an option to stay signed in for 14 days on this device."""

    email = EmailField(
        _("E-mail"),
        [InputRequired(_("Please enter your e-mail address.")), Length(max=email_address.LONGEST, message=_TOO_LONG)],
        filters=[typed_text.storable],
    )
    password = PasswordField(_("Password"), _PASSWORD)
    remember = BooleanField(_("Keep me signed in on this device"))


class LinkForm(TypedForm):
    """The code in a sign-in link, and the option that the sign-in form has."""

    token = StringField(
        _("The code in the link, after the #"),
        [DataRequired(_("Please enter the code.")), Length(max=LONGEST_TOKEN, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    remember = BooleanField(_("Keep me signed in on this device"), default=True)


class PasswordForm(TypedForm):
    """The current password and, twice, the new one; `accounts` checks the new one."""

    current = PasswordField(_("Current password"), _PASSWORD)
    new = PasswordField(_("New password"), [InputRequired(_("Please enter a new password."))])
    again = PasswordField(_("New password again"), [EqualTo("new", _("This does not match the new password above."))])
