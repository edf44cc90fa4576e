"""feedback/origins.py: the sites that may use a form."""

import pytest

from feedback_push.feedback import origins
from feedback_push.feedback.origins import NotAnOrigin, TooMany


def test_origins_are_kept_as_browsers_send_them() -> None:
    typed = """https://Shop.example/
        https://shop.example:443 http://localhost:3000 https://bücher.example:8443
        http://[::1]:80 http://192.0.2.1"""
    assert origins.read(typed) == [
        "https://shop.example",
        "http://localhost:3000",
        "https://xn--bcher-kva.example:8443",
        "http://[::1]",
        "http://192.0.2.1",
    ]
    assert origins.read(" \n ") == []


def test_what_is_no_origin_is_refused() -> None:
    for typed in (
        "*", "https://*", "https://*.shop.example", "https://.*", "^https://shop$", "null", "shop.example",
        "https://shop.example/cart", "https://shop.example?x", "https://a@shop.example", "ftp://shop.example",
        "javascript:alert(1)", "https://", "https://shop..example", "https://shop.example:0",
        "https://shop.example:70000",
        "https://[::g]", "https://-.%00", "https://\u202eelpmaxe.pohs", "https://" + "a" * 300,
        "https://" + "a." * 200 + "example",
        "https://(a+)+b",
    ):  # fmt: skip
        with pytest.raises(NotAnOrigin):
            origins.read(typed)


def test_a_list_has_an_end() -> None:
    assert len(origins.read("\n".join(f"https://s{number}.example" for number in range(20)))) == 20
    with pytest.raises(TooMany):
        origins.read("\n".join(f"https://s{number}.example" for number in range(10_000)))
