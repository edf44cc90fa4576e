"""The sign-in form."""

from wtforms import BooleanField, EmailField, PasswordField
from wtforms.validators import InputRequired, Length

from feedback_push import typed_text
from feedback_push.typed_text import TypedForm


class LoginForm(TypedForm):
    """E-mail, password, and whether to stay signed in for 14 days on this device."""

    email = EmailField(
        "E-mail",
        [InputRequired("Please give your e-mail address."), Length(max=320)],
        filters=[typed_text.storable],
    )
    password = PasswordField("Password", [InputRequired("Please give your password."), Length(max=1000)])
    remember = BooleanField("Keep me signed in on this device")
