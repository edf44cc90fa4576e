"""email_address.py: what counts as an e-mail address."""

import pytest

from feedback_push import email_address


@pytest.mark.parametrize(
    "address",
    ["ada@example.org", "ada+inbox@mail.example.co.uk", "admin@localhost", "ada@nas.local", "ada@mail.test",
     "ada@intranet", "o'neil@example.org", "ümlaut@bücher.example", "用户@例子.测试"],
)  # fmt: skip
def test_addresses_of_the_world_and_of_an_intranet_are_fine(address: str) -> None:
    assert email_address.problem(address) is None


@pytest.mark.parametrize(
    "address",
    ["", " ", "ada", "ada@", "@example.org", "ada lovelace@example.org", "ada@exam ple.org", "ada@example..org",
     "a@b@example.org", "ada@example.org\n", "ada@example.org, bob@example.org",
     "Ada <ada@example.org>", "<script>@example.org", "ada@example.org\x00", "ada@" + "a" * 260 + ".org"],
)  # fmt: skip
def test_what_is_no_address_has_a_problem_in_words(address: str) -> None:
    assert email_address.problem(address)
