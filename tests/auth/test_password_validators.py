"""auth/password_validators.py: which passwords are taken."""

import subprocess
import sys

import pytest

from feedback_push.auth.password_validators import problem
from tests import servers

EMAIL = "ada.lovelace@example.org"

pytestmark = pytest.mark.usefixtures("app")


@pytest.mark.parametrize("password", ["", "1234567", "pässwör", "🔑" * 7])
def test_a_password_has_at_least_8_characters(password: str) -> None:
    assert problem(password, EMAIL) == "A password needs at least 8 characters."


def test_a_password_has_at_most_1000_characters() -> None:
    assert problem("ab" * 500, EMAIL) is None
    assert problem("ab" * 500 + "c", EMAIL) == "A password can have at most 1000 characters."


@pytest.mark.parametrize(
    "password",
    ["password", "PassWord", " password ", "12345678", "qwertyuiop", "letmein1", "iloveyou", "1q2w3e4r", "trustno1",
     "baseball", "superman", "mountain", "elizabeth", "Washington"],
)  # fmt: skip
def test_a_common_password_is_refused(password: str) -> None:
    assert "very common" in (problem(password, EMAIL) or "")


@pytest.mark.parametrize("password", [EMAIL, "Ada.Lovelace@Example.org", "ada.lovelace", " ADA.LOVELACE"])
def test_the_own_address_is_refused(password: str) -> None:
    assert "e-mail address" in (problem(password, EMAIL) or "")


@pytest.mark.parametrize(
    "password",
    ["correct horse battery", "passwordpassword?", "ada.lovelace@example.com", "x9-Kq2!v", "        a",
     "пароль на двоих", "🔑🔑🔑🔑🔑🔑🔑🔑", "password,12345678", '"password"'],
)  # fmt: skip
def test_everything_else_is_taken(password: str) -> None:
    assert problem(password, EMAIL) is None


def test_the_list_is_not_kept_in_memory() -> None:
    program = """
import gc, sys
from feedback_push.auth import password_validators
for _ in range(3):
    assert password_validators._is_common("mountain")
lists = [thing for thing in gc.get_objects() if isinstance(thing, list) and len(thing) > 900]
words = [words for words in lists if "mountain" in words]
assert not words, len(words)
assert not [name for name in sys.modules if "zxcvbn" in name or "frequency" in name]
"""
    subprocess.run([sys.executable, "-c", program], cwd=servers.CHECKOUT, check=True, timeout=60)
