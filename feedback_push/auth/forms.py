"""Define the forms that take a password, a passkey, or a code."""

from flask_babel import lazy_gettext as _
from wtforms import BooleanField, EmailField, HiddenField, PasswordField, StringField
from wtforms.validators import DataRequired, EqualTo, InputRequired, Length, Optional

from feedback_push import email_address, typed_text
from feedback_push.auth import recovery_codes, totp
from feedback_push.auth.models import LONGEST_NAME
from feedback_push.auth.passkeys import LONGEST_CREDENTIAL
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


class PasskeyForm(TypedForm):
    """The answer of a passkey as JSON, which a script fills in, and the option that the sign-in form has."""

    credential = HiddenField(validators=[Length(max=LONGEST_CREDENTIAL)])
    remember = BooleanField(_("Keep me signed in on this device"))


class FactorForm(TypedForm):
    """A second factor: the answer of a passkey, the code of an app, or a recovery code; whichever is sent counts."""

    credential = HiddenField(validators=[Length(max=LONGEST_CREDENTIAL)])
    code = StringField(_("Code from your app"), [Length(max=totp.LONGEST_CODE, message=_TOO_LONG)])
    recovery_code = StringField(_("Recovery code"), [Length(max=recovery_codes.LONGEST_CODE, message=_TOO_LONG)])

    @property
    def is_empty(self) -> bool:
        """True if none of the factors was sent."""
        return not any((field.data or "").strip() for field in self if field.short_name != "csrf_token")


class ConfirmForm(FactorForm):
    """The proofs of identity that a signed-in user can give again: the second factors, and the password."""

    password = PasswordField(_("Password"), [Length(max=LONGEST, message=_TOO_LONG)])


class LinkForm(TypedForm):
    """The code in a sign-in link, and the option that the sign-in form has."""

    token = StringField(
        _("The code in the link, after the #"),
        [DataRequired(_("Please enter the code.")), Length(max=LONGEST_TOKEN, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    remember = BooleanField(_("Keep me signed in on this device"), default=True)


def one_line(value: str | None) -> str | None:
    """Return the text with single spaces between its words; for a form field's filters."""
    return " ".join(value.split()) if value else value


def name_field() -> StringField:
    """Return the field for the name that other administrators see."""
    return StringField(
        _("Name"),
        [Optional(), Length(max=LONGEST_NAME, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed, one_line],
    )


class _NewPassword(TypedForm):
    """The code of a link and, twice, a new password; `accounts` checks the password."""

    token = StringField(
        validators=[DataRequired(_("Please enter the code.")), Length(max=LONGEST_TOKEN, message=_TOO_LONG)],
        filters=[typed_text.storable, typed_text.trimmed],
    )
    password = PasswordField(
        _("New password"),
        [InputRequired(_("Please enter a new password.")), Length(max=LONGEST, message=_TOO_LONG)],
    )
    again = PasswordField(
        _("New password again"), [EqualTo("password", _("This does not match the new password above."))]
    )


class InvitationForm(_NewPassword):
    """The name and the password of a new account."""

    name = name_field()


class ResetForm(_NewPassword):
    """The new password of an account."""


class NameForm(TypedForm):
    """The name that other administrators see."""

    name = name_field()


class PasswordForm(TypedForm):
    """The current password and, twice, the new one; `accounts` checks the new one."""

    current = PasswordField(_("Current password"), _PASSWORD)
    new = PasswordField(_("New password"), [InputRequired(_("Please enter a new password."))])
    again = PasswordField(_("New password again"), [EqualTo("new", _("This does not match the new password above."))])
