"""The opt-in card in every state: the browser's facts are made up, and nothing moves while the card finds them out."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import pytest
from playwright.sync_api import Browser, StorageState

from feedback_push.language import LANGUAGES
from tests.browser.test_opt_in_states import STATES
from tests.site import Site
from tests.visual.walker import DESK, PHONE, Walker, sign_in

# What a browser is made to say of itself: everything works, unless `facts` tell otherwise.
_MAKE_UP = """
(() => {
  const facts = location.protocol === "about:" ? null : JSON.parse(localStorage.getItem("facts"));
  if (!facts) return;
  const say = (object, name, value) => Object.defineProperty(object, name, { get: () => value, configurable: true });
  const answer = (status, body) => Promise.resolve(new Response(JSON.stringify(body), { status }));
  const page = () => document.getElementById("push-script").dataset;
  const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
  let key = "";
  const subscription = {
    get endpoint() { return localStorage.getItem("feedback-push.endpoint") ?? "https://push.example/this-one"; },
    get options() { return { applicationServerKey: bytes(key).buffer }; },
    toJSON() { return { endpoint: this.endpoint }; },
  };
  const manager = {
    getSubscription: async () => (facts.subscribed ? subscription : null),
    subscribe: async () => { throw new DOMException("push is off", facts.error ?? "AbortError"); },
  };
  if (facts.insecure) say(window, "isSecureContext", false);
  if (facts.userAgent) say(navigator, "userAgent", facts.userAgent);
  if (facts.brave) navigator.brave = {};
  if (facts.unsupported) delete window.PushManager;
  say(Notification, "permission", facts.permission ?? "granted");
  say(ServiceWorkerContainer.prototype, "ready", Promise.resolve({ pushManager: manager }));
  ServiceWorkerContainer.prototype.register = async () => {};
  const really = window.fetch;
  window.fetch = async (address, options) => {
    if (address === page().subscribe) return answer(facts.answer ?? 200, { error: "This address is not allowed." });
    const response = await really(address, options);
    if (address === page().key) key = (await response.clone().json()).applicationServerKey;
    return response;
  };
  for (const [name, value] of Object.entries(facts.remembered)) localStorage.setItem(`feedback-push.${name}`, value);
})()
"""
_PRETEND = """(facts) => {
  for (const storage of [localStorage, sessionStorage]) storage.clear();
  localStorage.setItem("facts", JSON.stringify(facts));
}"""

_REVEAL = """(state) => {
  document.getElementById("push").dataset.looks = state;
  for (const part of document.querySelectorAll("#push [data-when]"))
    part.hidden = !part.dataset.when.split(" ").includes(state);
  for (const part of document.querySelectorAll("#push :is([data-browser], [data-trouble])")) part.hidden = false;
}"""
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS {} like Mac OS X) AppleWebKit/605.1.15 Version/18.4 Safari/604.1"
_BROWSERS = {
    "chromium": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36",
    "chromium-android": "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36",
    "firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "firefox-android": "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
    "ios": _IPHONE.format("18_4"),
    "safari": "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 Version/18.4 Safari/605.1.15",
}


def _came_to(state: str, kind: str = "", detail: str = "") -> dict[str, Any]:
    trouble = json.dumps({"kind": kind, "detail": detail} if kind else None)
    return {"remembered": {"choice": "on", "state": state, "trouble": trouble}}


_OFF = {"subscribed": False}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "insecure": ("insecure", {"insecure": True}),
    "unsupported": ("unsupported", {"unsupported": True}),
    "ios-needs-install": ("ios-needs-install", {"unsupported": True, "userAgent": _BROWSERS["ios"]}),
    "ios-too-old": ("ios-too-old", {"unsupported": True, "userAgent": _IPHONE.format("15_8")}),
    "brave-push-off": (
        "brave-push-off",
        {**_OFF, "brave": True, **_came_to("brave-push-off", "browser", "AbortError: push is off")},
    ),
    **{f"denied-{name}": ("denied", {"permission": "denied", "userAgent": it}) for name, it in _BROWSERS.items()},
    "default": ("default", {"permission": "default"}),
    "granted-not-subscribed": ("granted-not-subscribed", _OFF),
    "not-allowed": (
        "granted-not-subscribed",
        {
            **_OFF,
            "error": "NotAllowedError",
            **_came_to("granted-not-subscribed", "browser", "NotAllowedError: push is off"),
        },
    ),
    "unreachable": ("on-but-the-server-forgot", {"answer": 500, **_came_to("on-but-the-server-forgot", "unreachable")}),
    "signed-out": ("on-but-the-server-forgot", {"answer": 401, **_came_to("on-but-the-server-forgot", "signed-out")}),
    "on": ("on", _came_to("on")),
    "failing": ("on-but-failing", {"failing": True, **_came_to("on")}),
    "failing-unremembered": ("on-but-failing", {"failing": True}),
    "refused": (
        "on-but-failing",
        {"answer": 400, **_came_to("on-but-failing", "refused", "This address is not allowed.")},
    ),
}


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, site: Site) -> Iterator[tuple[StorageState, str]]:
    """The cookies of somebody who has signed in, and the endpoint of a device of theirs that fails."""
    context = chromium.new_context(base_url=site.url)
    page = context.new_page()
    sign_in(page)
    yield context.storage_state(), str(page.evaluate("document.getElementById('push-script').dataset.failing"))
    context.close()


@pytest.fixture(scope="module")
def walker(chromium: Browser, site: Site, signed_in: tuple[StorageState, str]) -> Iterator[Walker]:
    """A signed-in administrator's tab, in a browser that says of itself what `pretend` was told."""
    context = chromium.new_context(base_url=site.url, locale="en", reduced_motion="reduce", storage_state=signed_in[0])
    context.add_init_script(_MAKE_UP)
    yield Walker(context, "en", "card")
    context.close()


def pretend(walker: Walker, facts: dict[str, Any]) -> None:
    """Forget what the browser remembers, and make up these facts from now on."""
    walker.complaints.clear()
    walker.start()
    walker.page.goto("/admin/offline")
    walker.page.evaluate(_PRETEND, {"subscribed": True, **facts})


@pytest.mark.parametrize("name", CASES)
def test_every_state_of_the_card_is_as_it_should_be(
    walker: Walker, site: Site, signed_in: tuple[StorageState, str], name: str
) -> None:
    state, facts = CASES[name]
    memory = {**facts.get("remembered", {}), **({"endpoint": signed_in[1]} if facts.get("failing") else {})}
    pretend(walker, {**facts, "remembered": memory})
    walker.page.goto(urljoin(site.dashboard, "?q=zoe"))
    walker.wait_until_settled("as a guest")
    walker.page.goto(urljoin(site.dashboard, "devices"))
    walker.page.wait_for_selector(f"#push[data-state={state}]")
    walker.look(name, [PHONE, DESK], part="#push")
    assert walker.complaints == []


@pytest.mark.parametrize("address", ["devices", "?q=zoe"])
def test_nothing_moves_where_the_browser_remembers_nothing(walker: Walker, site: Site, address: str) -> None:
    pretend(walker, {"remembered": {}})
    walker.page.goto(urljoin(site.dashboard, address))
    card = walker.page.locator("#push[data-state=on]")
    card.wait_for(state="attached")
    walker.look(f"on-unremembered-{'devices' if address == 'devices' else 'inbox'}", [PHONE], part="#push")
    kept = card.evaluate("(card) => card.offsetHeight")
    walker.view("on-unremembered-after-resizing", [DESK], part="#push")
    given_back = card.evaluate("(card) => card.offsetHeight")
    assert walker.complaints == []
    assert given_back < kept


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_the_words_of_every_state_fit_in_every_language(
    chromium: Browser, site: Site, signed_in: tuple[StorageState, str], language: str
) -> None:
    context = chromium.new_context(base_url=site.url, locale=language, storage_state=signed_in[0])
    walker = Walker(context, language, "card")
    walker.start()
    walker.page.goto(urljoin(site.dashboard, "devices"))
    walker.look("devices", [PHONE])
    for state in STATES:
        walker.page.evaluate(_REVEAL, state)
        walker.view(state, [PHONE], part="#push")
    context.close()
    assert walker.complaints == []


def test_the_cases_have_every_state() -> None:
    assert {state for state, _ in CASES.values()} == set(STATES)
