"""static/admin/opt-in.js and the words for its states, in the browser that they are written for."""

from typing import Any

import pytest

from tests.browser.dashboard import Dashboard
from tests.browser.firefox import Firefox

_ON = {
    "secure": True,
    "supported": True,
    "ios": False,
    "iosVersion": None,
    "installed": False,
    "brave": False,
    "permission": "granted",
    "subscribed": True,
    "known": True,
    "failing": False,
    "trouble": None,
}
_IPHONE = {"supported": False, "ios": True, "iosVersion": 1604, "permission": "default"}
_OFF = {"subscribed": False, "known": False}
_ABORTED = {"kind": "browser", "name": "AbortError", "detail": "AbortError: push service error"}

TABLE: list[tuple[str, dict[str, Any]]] = [
    ("insecure", {"secure": False}),
    ("insecure", {"secure": False, "supported": False, "permission": "denied"}),
    ("unsupported", {"supported": False}),
    ("unsupported", {**_IPHONE, "installed": True}),
    ("ios-needs-install", _IPHONE),
    ("ios-needs-install", {**_IPHONE, "iosVersion": None}),
    ("ios-too-old", {**_IPHONE, "iosVersion": 1603}),
    ("ios-too-old", {**_IPHONE, "iosVersion": 1509, "installed": True}),
    ("brave-push-off", {**_OFF, "brave": True, "trouble": _ABORTED}),
    ("denied", {**_OFF, "permission": "denied"}),
    ("denied", {"permission": "denied"}),
    ("default", {**_OFF, "permission": "default"}),
    ("granted-not-subscribed", _OFF),
    ("granted-not-subscribed", {**_OFF, "trouble": _ABORTED}),
    ("granted-not-subscribed", {**_OFF, "brave": True}),
    ("granted-not-subscribed", {**_OFF, "brave": True, "trouble": {"kind": "unreachable"}}),
    ("on-but-the-server-forgot", {"known": False}),
    ("on-but-the-server-forgot", {"known": False, "trouble": {"kind": "no-answer"}}),
    ("on", {}),
    ("on-but-failing", {"known": False, "trouble": {"kind": "refused", "detail": "no"}}),
    ("on-but-failing", {"failing": True}),
    ("on-but-the-server-forgot", {"failing": True, "known": False, "trouble": {"kind": "unreachable"}}),
]
NEXT_STEPS = {
    "insecure": ["later"],
    "unsupported": ["later"],
    "ios-needs-install": ["later"],
    "ios-too-old": ["later"],
    "brave-push-off": ["recheck", "later"],
    "denied": ["recheck", "later"],
    "default": ["enable", "later"],
    "granted-not-subscribed": ["enable", "later"],
    "on-but-the-server-forgot": ["recheck", "disable"],
    "on": ["test", "disable"],
    "on-but-failing": ["renew", "recheck", "disable"],
}
STATES = sorted({state for state, _ in TABLE})


def run(browser: Firefox, javascript: str, *args: Any) -> Any:
    """Run a script in the page with the module as `script`."""
    load = "const script = await import('/static/admin/opt-in.js');"
    return browser.async_script(f"{load} {javascript}", *args)


@pytest.mark.parametrize(("state", "facts"), TABLE)
def test_the_facts_add_up_to_the_state(bare_page: Firefox, state: str, facts: dict[str, Any]) -> None:
    assert run(bare_page, "return script.decide(arguments[0])", {**_ON, **facts}) == state


def test_the_table_has_every_state() -> None:
    assert len(STATES) == 11


def test_the_facts_about_this_browser_are_known_before_any_click(bare_page: Firefox) -> None:
    assert run(bare_page, "return script.gather()") == {**_ON, **_OFF, "permission": "default"}


IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 16_3_1 like Mac OS X) AppleWebKit/605.1.15 Version/16.3 Safari/604.1"
IPAD = "Mozilla/5.0 (iPad; CPU OS 18_4 like Mac OS X) AppleWebKit/605.1.15 Version/18.4 Mobile/15E148 Safari/604.1"


@pytest.mark.parametrize(("user_agent", "version"), [(IPHONE, 1603), (IPAD, 1804)])
def test_an_ios_device_tells_its_version(bare_page: Firefox, user_agent: str, version: int) -> None:
    bare_page.chrome("Services.prefs.setStringPref('general.useragent.override', arguments[0])", user_agent)
    try:
        bare_page.open(bare_page.url)
        facts = run(bare_page, "return script.gather()")
    finally:
        bare_page.chrome("Services.prefs.clearUserPref('general.useragent.override')")
    assert (facts["ios"], facts["iosVersion"]) == (True, version)


GUESSES = [
    ("on", {}, "on", "on"),
    ("on-but-failing", {}, "on", "on-but-failing"),
    ("checking", {}, "on", None),
    ("checking", {}, "on", "default"),
    ("granted-not-subscribed", {}, None, None),
    ("granted-not-subscribed", {}, None, "default"),
    ("on", {}, None, "on"),
    ("brave-push-off", {}, "on", "brave-push-off"),
    ("granted-not-subscribed", {}, "off", "on"),
    ("default", {"permission": "default"}, "on", "on"),
    ("denied", {"permission": "denied"}, "on", "on"),
    ("insecure", {"secure": False}, "on", "on"),
    ("unsupported", {"supported": False}, None, "on"),
    ("on-but-failing", {"failing": True}, "on", "on"),
    ("on-but-failing", {"failing": True}, None, None),
    ("granted-not-subscribed", {"failing": True}, "off", "on"),
    ("denied", {"failing": True, "permission": "denied"}, "on", "on"),
]


@pytest.mark.parametrize(("state", "facts", "choice", "last"), GUESSES)
def test_the_first_paint_shows_what_the_visit_will_probably_come_to(
    bare_page: Firefox, state: str, facts: dict[str, Any], choice: str | None, last: str | None
) -> None:
    memory = {"choice": choice, "lastState": last, "failing": facts.get("failing", False)}
    assert run(bare_page, "return script.guess(arguments[0], arguments[1])", {**_ON, **_OFF, **facts}, memory) == state


@pytest.mark.parametrize(
    ("state", "circumstances", "speaks"),
    [
        ("on", {}, False),
        ("on", {"clicked": True}, True),
        ("checking", {}, False),
        *((state, {}, True) for state in STATES if state != "on"),
        *((state, {"putAside": "7"}, state.startswith("on-")) for state in STATES if state != "on"),
        ("default", {"putAside": "7", "newest": 8}, True),
        ("default", {"putAside": "7", "newest": 6}, False),
        ("default", {"putAside": "0", "newest": 0}, False),
        ("default", {"putAside": "9", "newest": 10}, True),
        ("denied", {"putAside": "7", "clicked": True}, True),
        ("on-but-failing", {"stands": False}, False),
        ("on-but-failing", {"stands": False, "clicked": True}, True),
        ("on", {"stands": True}, True),
    ],
)
def test_the_card_is_where_it_is_a_guest_only_with_something_to_say(
    bare_page: Firefox, state: str, circumstances: dict[str, Any], speaks: bool
) -> None:
    usual = {"newest": 7, "putAside": None, "clicked": False, "stands": None}
    assert run(bare_page, "return script.speaksUp(...arguments)", state, {**usual, **circumstances}) is speaks


CHROME = (
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36"
)
FAMILIES = [
    ("firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    ("firefox-android", "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0"),
    ("chromium-android", CHROME),
    ("chromium", CHROME.replace("Linux; Android 10; K", "X11; Linux x86_64")),
    ("safari", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/18.4 Safari/605.1.15"),
]


@pytest.mark.parametrize(("family", "user_agent"), FAMILIES)
def test_browsers_are_distinguished_by_the_place_of_their_settings(
    bare_page: Firefox, family: str, user_agent: str
) -> None:
    assert run(bare_page, "return script.browserFamily({ios: false}, arguments[0])", user_agent) == family
    assert run(bare_page, "return script.browserFamily({ios: true}, arguments[0])", user_agent) == "ios"


def test_every_state_has_its_own_text_and_next_steps_and_every_browser_its_way_back(dashboard: Dashboard) -> None:
    dashboard.sign_in()
    words = {state: _words(dashboard.browser, state) for state in STATES}
    assert all(words.values()), words
    assert len(set(words.values())) == len(STATES)
    find = "return [...document.querySelectorAll(`.push-actions [data-when~='${arguments[0]}']`)].map(({ id }) => id)"
    for state in STATES:
        assert dashboard.browser.script(find, state) == [f"push-{step}" for step in NEXT_STEPS[state]], state
    find = "return [...document.querySelectorAll('[data-browser]')].map(({ dataset }) => dataset.browser)"
    assert sorted(dashboard.browser.script(find)) == sorted([*(family for family, _ in FAMILIES), "ios"])


def _words(browser: Firefox, state: str) -> str:
    find = "return [...document.querySelectorAll(`#push .push-text [data-when~='${arguments[0]}']`)]"
    return str(browser.script(f"{find}.map(element => element.textContent.trim()).join(' ')", state))
