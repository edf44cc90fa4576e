"""Passkeys and codes in a real Chromium with its virtual authenticator (WebAuthn, section 11)."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.sync_api import Browser, BrowserContext, CDPSession, Page, expect
from redis import Redis

from tests import servers
from tests.conftest import PASSWORD, make_settings
from tests.program import Program
from tests.site import Site
from tests.visual import fixtures
from tests.visual.walker import EVERY_VIEW, PHONE, Walker, barriers

KEY = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}
FACTORS = "/admin/account/factors"


@pytest.fixture(scope="module")
def served_site(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run a site."""
    folder = tmp_path_factory.mktemp("passkeys")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    url = f"sqlite:///{folder / 'site.sqlite'}"
    with servers.redis_server(folder) as redis_url, Site(make_settings(url, redis_url, folder)) as running:
        running.serve()
        yield running
        assert running.failures == []


@pytest.fixture
def own_site(served_site: Site) -> Site:
    """Return the site with one account and nothing else; the test may give the account factors."""
    served_site.empty()
    with Redis.from_url(served_site.settings.redis_url or "") as redis:
        redis.flushall()
    served_site.create_user(fixtures.STAFF)
    return served_site


@pytest.fixture
def serve_at(own_site: Site) -> Iterator[Callable[[str], Program]]:
    """Serve the site at another address until the test ends."""

    def restart(url: str) -> Program:
        own_site.web.terminate()
        return own_site.serve(SITE_URL=url)

    yield restart
    restart(own_site.url)


@pytest.fixture
def browser_at_localhost(chromium: Browser, own_site: Site) -> Iterator[BrowserContext]:
    """Open a browser profile on a phone at localhost, where passkeys work."""
    with chromium.new_context(
        base_url=at_host(own_site, "localhost"), locale="en", viewport={"width": 390, "height": 844}
    ) as context:
        yield context


def at_host(site: Site, host: str) -> str:
    return f"http://{host}:{urlsplit(site.url).port}"


class Device:
    """The authenticator of a page: a phone that can get lost."""

    def __init__(self, page: Page) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._cdp.send("WebAuthn.enable")
        self.id = self._call("addVirtualAuthenticator", options=KEY)["authenticatorId"]

    def lose(self) -> None:
        self._call("removeVirtualAuthenticator", authenticatorId=self.id)

    def set_verified(self, value: bool) -> None:
        self._call("setUserVerified", authenticatorId=self.id, isUserVerified=value)

    def set_present(self, value: bool) -> None:
        self._call("setAutomaticPresenceSimulation", authenticatorId=self.id, enabled=value)

    @property
    def passkeys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._call("getCredentials", authenticatorId=self.id)["credentials"]
        return found

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._cdp.send(f"WebAuthn.{method}", arguments)


def sign_in(page: Page, leads_to: str = "**/admin/") -> None:
    page.goto("/login")
    page.fill("#email", fixtures.STAFF)
    page.fill("#password", PASSWORD)
    page.click("main form button[type=submit] >> nth=0")
    page.wait_for_url(leads_to)


def sign_out(page: Page) -> None:
    page.goto("/admin/settings")
    page.locator(".bar details.menu summary").click()
    page.locator("form[data-logout] button").click()
    page.wait_for_url("**/login")


def add_passkey(page: Page, name: str = "My phone") -> list[str]:
    """Add a passkey, by the keyboard alone, and return the recovery codes."""
    page.goto(FACTORS)
    page.focus("#name")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Add a passkey")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#passkeys")).to_contain_text(name)
    return page.locator("#codes").inner_text().split()


def test_a_passkey_is_made_signs_in_is_the_second_factor_and_is_removed(browser_at_localhost: BrowserContext) -> None:
    page = browser_at_localhost.new_page()
    device = Device(page)
    sign_in(page)
    codes = add_passkey(page)
    assert len(codes) == 10
    assert barriers(page) == []
    assert [key["rpId"] for key in device.passkeys] == ["localhost"]
    device.set_present(False)  # or the browser would take the passkey by itself, before the button is clicked
    sign_out(page)
    assert page.get_attribute("#email", "autocomplete") == "username webauthn"
    assert barriers(page) == []
    device.set_present(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    page.wait_for_url("**/admin/")
    device.set_present(False)
    sign_out(page)
    sign_in(page, "**/login/factor")
    device.set_present(True)
    assert barriers(page) == []
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/admin/")
    page.goto(FACTORS)
    page.locator("#passkeys").get_by_role("button", name="Remove").click()
    expect(page.locator("[role=status]")).to_contain_text("is removed")
    sign_out(page)
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_have_count(0)
    sign_in(page)


def test_the_browser_offers_the_passkey_in_the_field_for_the_address(browser_at_localhost: BrowserContext) -> None:
    page = browser_at_localhost.new_page()
    device = Device(page)
    sign_in(page)
    add_passkey(page)
    device.set_present(False)
    sign_out(page)
    assert page.evaluate("PublicKeyCredential.isConditionalMediationAvailable()")
    page.goto("/")  # or the page that waits for a passkey would leave while the next one loads
    device.set_present(True)
    # Nobody clicks: the virtual authenticator may choose before the page has loaded, which would interrupt a goto().
    page.evaluate("setTimeout(() => location.assign('/login'))")
    page.wait_for_url("**/admin/")


def test_a_browser_without_the_passkey_says_so_and_a_recovery_code_helps(browser_at_localhost: BrowserContext) -> None:
    page = browser_at_localhost.new_page()
    device = Device(page)
    sign_in(page)
    codes = add_passkey(page)
    device.set_verified(False)
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.locator("[data-passkey-problem]")).to_have_text("No passkey was used. You can try again.")
    device.lose()
    Device(page)  # a new phone
    sign_in(page, "**/login/factor")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.locator("[data-passkey-problem]")).to_have_text("No passkey was used. You can try again.")
    page.locator("#other-ways summary").click()
    page.fill("#recovery_code", codes[0])
    page.locator("#recovery button").click()
    page.wait_for_url("**/admin/")
    page.goto(FACTORS)
    assert add_passkey_again(page)
    expect(page.locator("#recovery")).to_contain_text("9 recovery codes left")


def test_under_another_host_name_the_passkey_does_not_work_and_the_pages_say_so(
    browser_at_localhost: BrowserContext, own_site: Site, serve_at: Callable[[str], Program], chromium: Browser
) -> None:
    page = browser_at_localhost.new_page()
    Device(page)
    sign_in(page)
    codes = add_passkey(page)
    expect(page.locator("#host-hint")).to_contain_text("belong to the host name localhost")
    moved = at_host(own_site, "moved.localhost")
    web = serve_at(moved)
    servers.wait_until(lambda: "1 passkeys of localhost do not work at moved.localhost" in web.log)
    with chromium.new_context(base_url=moved, locale="en") as context:
        page = context.new_page()
        Device(page)
        sign_in(page, "**/login/factor")
        expect(page.locator("#other-hosts")).to_contain_text("Your passkeys for localhost do not work here")
        expect(page.get_by_role("button", name="Use a passkey")).to_have_count(0)
        page.fill("#recovery_code", codes[0])
        page.locator("#recovery button").click()
        page.wait_for_url("**/admin/")
        page.goto(FACTORS)
        expect(page.locator("#passkeys .pill")).to_have_text("Does not work here")
        assert add_passkey_again(page)


def add_passkey_again(page: Page) -> bool:
    """Add another passkey; the recovery codes stay, so none are shown."""
    page.fill("#name", "Another")
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.locator("#passkeys")).to_contain_text("Another")
    return page.locator("#codes").count() == 0


@pytest.mark.parametrize("language", ["en", "de"])  # as in test_states.py
def test_the_pages_of_factors_are_as_they_should_be(chromium: Browser, own_site: Site, language: str) -> None:
    views = EVERY_VIEW if language == "en" else [PHONE]
    with chromium.new_context(
        base_url=at_host(own_site, "localhost"), locale=language, reduced_motion="reduce"
    ) as context:
        walker = Walker(context, language, "factors")
        page = walker.page
        device = Device(page)
        walker.start()
        sign_in(page)
        page.goto(FACTORS)
        walker.look("none", views)
        page.locator("#app button").click()
        secret = page.locator("#secret").inner_text()
        walker.look("app", views)
        page.fill("#code", pyotp.TOTP(secret).now())
        page.locator("#app button").click()
        page.locator("#codes").wait_for()
        walker.look("codes", views)
        page.goto(FACTORS)
        page.fill("#name", "My phone with a name that is as long as people like to make such names, or longer")
        page.locator("#add-passkey button").click()
        page.locator("#passkeys").wait_for()
        walker.look("both", views)
        page.goto("/login/confirm")
        walker.look("confirm", views)
        page.goto("/admin/account")
        walker.look("account", views)
        device.set_present(False)
        sign_out(page)
        walker.look("login", views)
        sign_in(page, "**/login/factor")
        walker.look("factor", views)
        assert walker.complaints == []
