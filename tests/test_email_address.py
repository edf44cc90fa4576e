"""email_address.py: recognise e-mail addresses."""

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
def test_an_invalid_address_has_a_problem_text(address: str) -> None:
    assert email_address.problem(address)


def test_what_a_browser_takes_for_an_address_and_what_people_have_is_plausible() -> None:
    for address in (
        *(
            "a..b@docomo.ne.jp",
            "a.@docomo.ne.jp",
            ".a@docomo.ne.jp",
            "-a@x",
            "a@b",
            "a@127.0.0.1",
            "!#$%&'*+/=?^_`{|}~@x",
        ),
        *("ümlaut..x@bücher.example", "用户@例子.测试", "हिन्दी@उदाहरण.भारत", "ada@example.org."),
        *(f"{'a' * 250}@example.org", f"a@{'b' * 63}.org"),
    ):
        assert email_address.is_plausible(address), address


def test_what_no_browser_takes_for_an_address_is_not_plausible() -> None:
    for address in (
        *(
            "",
            " ",
            "ada",
            "@",
            "ada@",
            "@x",
            "a@b@c",
            "a b@c",
            "a@b c",
            "a@b\n",
            "a@-b",
            "a@b-",
            "a@b..c",
            "a@.b",
            "a,b@c",
        ),
        *("Ada <ada@example.org>", "<script>@example.org", 'a"b@c', "a@b\u200b", f"a@{'b' * 64}.org", f"{'a' * 319}@b"),
    ):
        assert not email_address.is_plausible(address), address
    assert not email_address.is_plausible("a" * 1_000_000)
