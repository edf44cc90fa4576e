"""static/embed/feedback.js in Chromium, on pages of another site: strict, hostile, in a frame, from right to left."""

import gzip
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from feedback_push.api import host_users
from feedback_push.database import db
from feedback_push.feedback import site_forms
from feedback_push.feedback.models import Message
from tests import servers
from tests.browser.firefox import Firefox
from tests.conftest import make_settings
from tests.embed.host import Host, host
from tests.feedback.messages import own_form
from tests.servers import CHECKOUT
from tests.site import Site
from tests.visits import Visitor
from tests.visual import fixtures
from tests.visual.walker import _COUNT_SHIFTS, CHECKED, Walker, barriers, sign_in

SCRIPT = CHECKOUT / "static" / "embed" / "feedback.js"
LARGEST = 10_000  # bytes, gzipped
FORM: dict[str, Any] = {
    "name_field": "optional",
    "email_field": "optional",
    "rating": "stars",
    "categories": [{"en": "Bug", "de": "Fehler"}, {"en": "Idea", "de": "Idee"}],
    "questions": [
        {"id": "1", "labels": {"en": "Which version?", "de": "Welche Version?"}, "required": True, "long": False}
    ],
}
HOSTILE = "<style>body * { all: unset !important; display: none !important; color: red !important; }</style>"


@dataclass
class Place:
    """Our site, with a form for a host, and that host."""

    site: Site
    host: Host

    @property
    def script(self) -> str:
        """The one script tag."""
        return f'<script type="module" src="{self.site.url}/embed/feedback.js" data-form="shop"></script>'

    @property
    def policy(self) -> str:
        """The policy that the documentation asks for."""
        return f"default-src 'none'; script-src {self.site.url}; connect-src {self.site.url}"

    def element(self, attributes: str = "", inside: str = "") -> str:
        """Return the element with its script."""
        loader = f'<script type="module" src="{self.site.url}/embed/feedback.js"></script>'
        return f'<feedback-form form="shop" {attributes}>{inside}</feedback-form>{loader}'

    def messages(self) -> list[Message]:
        """Return the messages that our site has, and forget them."""
        with self.site.database():
            found = db.session.query(Message).order_by(Message.id).all()
            db.session.expunge_all()
            return found


@pytest.fixture(scope="module")
def place(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("widget")
    shutil.copy(migrated_sqlite, folder / "site.sqlite")
    with servers.redis_server(folder) as redis_url, host() as other:
        settings = make_settings(f"sqlite:///{folder / 'site.sqlite'}", redis_url, folder)
        with Site(replace(settings, form_defence=True)) as site:
            with site.database():
                own_form(**FORM, origins=[other.url])
            site.create_user(fixtures.STAFF)
            site.serve()
            yield Place(site, other)


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    opened = chromium.new_context(locale="en", viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    opened.add_init_script(_COUNT_SHIFTS)
    yield opened
    opened.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    return context.new_page()


def fill(page: Page, text: str = "It is too slow.") -> None:
    page.get_by_label("Your message").fill(text)
    page.get_by_label("Which version?").fill("2.0")


def test_it_is_small() -> None:
    assert len(gzip.compress(SCRIPT.read_bytes())) < LARGEST


def test_other_sites_may_load_it(client: Visitor) -> None:
    answer = client.get("/embed/feedback.js")
    assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Set-Cookie" not in answer.headers


def test_one_tag_is_enough_on_a_page_that_allows_nothing_else(
    place: Place, page: Page, context: BrowserContext
) -> None:
    text = f"<main><h1>Welcome</h1>{'<p>Our words.</p>' * 3}</main>"
    address = place.host.add("/strict", f"{text}{place.script}", policy=place.policy)
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    with page.expect_response("**/api/v1/forms/shop") as answer:
        page.goto(f"{address}?secret=1#part")
    assert "cookie" not in answer.value.request.all_headers()
    button = page.get_by_role("button", name="Feedback")
    box = button.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 44
    expect(button).to_have_attribute("aria-haspopup", "dialog")
    assert page.evaluate("settled()") == 0
    assert told == []  # nothing is refused
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    dialog = page.get_by_role("dialog", name="Tell us what you think")
    expect(dialog).to_be_visible()
    expect(page.get_by_label("Your message")).to_be_focused()
    expect(dialog).to_contain_text(address)  # says what it adds
    expect(dialog).to_contain_text("Window: 390 \u00d7 844, language: en")
    assert "secret" not in dialog.inner_text()
    assert dialog.evaluate("(box) => [box.scrollWidth - box.clientWidth, innerWidth - box.offsetWidth]") == [0, 16]
    assert barriers(page) == []
    page.emulate_media(color_scheme="dark")
    assert barriers(page) == []
    small = dialog.locator("button, input:not([type=radio]), select, textarea, .choices label").evaluate_all(
        "(all) => all.map((each) => each.getBoundingClientRect()).filter((box) => Math.min(box.width, box.height) < 44)"
    )
    assert small == []
    page.keyboard.type("It is too slow.")
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.keyboard.press("Enter")  # the button has the focus again
    expect(page.get_by_label("Your message")).to_have_value("It is too slow.")
    page.keyboard.press("Tab")
    page.keyboard.type("2.0")
    page.keyboard.press("Enter")
    thanks = page.get_by_role("dialog", name="Thank you")
    expect(thanks.get_by_role("link", name="/conversations/")).to_be_visible()
    [message] = place.messages()
    assert (message.content, message.form_key, message.state) == ("It is too slow.", "shop", "new")
    assert (message.page_url, message.page_title) == (address, "A shop")
    assert (message.viewport, message.language) == ("390x844", "en")
    assert barriers(page) == []
    assert [text for text in told if "worker" not in text] == []  # a worker was refused, and the page computed
    assert context.cookies() == []
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    with context.expect_page() as opened:
        thanks.get_by_role("link", name="Tell me when there is an answer").click()
    expect(opened.value.locator("#notifications")).to_be_visible()
    expect(opened.value.locator("main")).to_contain_text("It is too slow.")


def test_a_hostile_style_sheet_changes_nothing_and_none_of_ours_reaches_the_page(place: Place, page: Page) -> None:
    plain = place.host.add("/plain", f'<p id="own">Words</p>{place.element()}')
    hostile = place.host.add("/hostile", f'<p id="own">Words</p>{place.element()}', head=HOSTILE)
    looks = []
    for address in (plain, hostile):
        page.goto(address)
        expect(page.get_by_role("button", name="Feedback")).to_be_visible()
        own = page.locator("#own").evaluate(_STYLE)
        page.get_by_role("button", name="Feedback").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        parts = dialog.locator("h2, textarea, .close, form > button")
        looks.append(parts.evaluate_all(_LOOKS))
        assert page.locator("#own").evaluate(_STYLE) == own
        page.keyboard.press("Escape")
    assert looks[0] == looks[1]
    assert len(looks[0]) == 4


_STYLE = "(own) => JSON.stringify(Object.entries(getComputedStyle(own)))"
_LOOKS = """(parts) => parts.map((part) => {
  const { color, backgroundColor, fontSize, fontFamily, display } = getComputedStyle(part);
  const { x, y, width, height } = part.getBoundingClientRect();
  return [color, backgroundColor, fontSize, fontFamily, display, x, y, width, height].join();
})"""


def test_a_link_of_the_page_is_the_button_and_stays_a_link_where_the_form_cannot_be_loaded(
    place: Place, page: Page, chromium: Browser
) -> None:
    link = f'<a href="{place.site.url}/f/shop">Tell us</a>'
    works = place.host.add("/link", f"<p>{place.element('', link)}</p><p>More</p>")
    page.goto(works)
    expect(page.get_by_role("button", name="Tell us")).to_be_visible()
    assert page.evaluate("settled()") == 0  # the link has not moved
    blocked = place.host.add(
        "/blocked", place.element("", link) + place.element(), policy=f"default-src 'none'; script-src {place.site.url}"
    )
    other = place.host.add("/other", place.element("inline", link)).replace("localhost", "127.0.0.1")  # not allowed
    with chromium.new_context(java_script_enabled=False) as without:
        for tab, address in ((page, blocked), (page, other), (without.new_page(), works)):
            tab.goto(address)
            tab.wait_for_timeout(300)
            for found in tab.get_by_role("link").all():
                expect(found).to_have_attribute("href", f"{place.site.url}/f/shop")
            tab.get_by_role("link", name="Tell us").click()
            tab.wait_for_url(f"{place.site.url}/feedback/shop/")
    page.add_init_script("Object.defineProperty(crypto, 'subtle', { value: undefined })")  # as over http elsewhere
    page.goto(works)
    page.get_by_role("link", name="Tell us").click()
    page.wait_for_url(f"{place.site.url}/feedback/shop/")


def test_it_keeps_what_was_typed_through_errors_and_a_lost_network(
    place: Place, page: Page, context: BrowserContext
) -> None:
    before = len(place.messages())
    address = place.host.add("/inline", f"<main><h1>Shop</h1>{place.element('inline name=Ada rating=4')}</main>")
    page.goto(address)
    form = page.get_by_role("region", name="Tell us what you think")
    expect(form).to_be_visible()
    expect(page.get_by_label("Your name")).to_have_value("Ada")
    expect(page.get_by_role("radio", name="4 of 5")).to_be_checked()
    page.evaluate("document.addEventListener('sent', () => { window.sent = (window.sent ?? 0) + 1; })")
    page.get_by_label("Your message").fill("Offline")
    page.get_by_label("What is it about?").select_option("Idea")
    send = page.get_by_role("button", name="Send message")
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("Almost there")
    expect(page.get_by_label("Which version?")).to_be_focused()
    expect(page.get_by_label("Which version?")).to_have_attribute("aria-invalid", "true")
    assert barriers(page) == []
    page.get_by_label("Which version?").fill("2.0")
    context.set_offline(True)
    send.click()
    expect(page.get_by_role("alert")).to_contain_text("did not get through")
    context.set_offline(False)
    page.route("**/messages", lambda route: (route.fetch(), route.abort())[1])  # it arrives, and the answer is lost
    send.click()
    expect(page.get_by_role("alert")).to_have_text("")
    expect(page.get_by_role("alert")).to_contain_text("did not get through")
    page.unroute("**/messages")
    send.click()
    expect(page.get_by_role("link", name="/conversations/")).to_be_visible()
    [message] = place.messages()[before:]
    assert (message.content, message.submitter_name, message.category, message.rating) == (
        "Offline",
        "Ada",
        "Idea",
        "4",
    )
    assert message.answers == [{"question": "Which version?", "answer": "2.0"}]
    assert page.evaluate("window.sent") == 1
    page.get_by_role("button", name="Send another message").click()
    expect(page.get_by_label("Your message")).to_be_focused()
    expect(page.get_by_label("Your message")).to_have_value("")


def test_it_works_in_a_frame_from_right_to_left_in_the_pages_language_and_for_a_proven_user(
    place: Place, page: Page
) -> None:
    with place.site.database():
        form = site_forms.find("shop")
        assert form
        proof = host_users.prove(form, "customer-42")
    attributes = f'id="widget" user="customer-42" user-hmac="{proof}"'
    inner = place.host.add("/inner", place.element(attributes), html='lang="de" dir="rtl"')
    page.goto(place.host.add("/frame", f'<iframe src="{inner}" width="360" height="500"></iframe>'))
    frame = page.frames[1]
    frame.wait_for_selector("feedback-form")
    assert frame.evaluate("document.querySelector('#widget').open()") is True
    dialog = frame.get_by_role("dialog", name="Sagen Sie uns Ihre Meinung")
    expect(dialog).to_be_visible()
    close, title = (dialog.locator(each).bounding_box() for each in (".close", "h2"))
    assert close
    assert title
    assert close["x"] < title["x"]  # at the end of the line, which is on the left
    with page.expect_event("worker"):  # without a policy, a worker computes the proof
        frame.get_by_label("Ihre Nachricht").fill("Aus dem Rahmen")
    frame.get_by_label("Welche Version?").fill("3")
    frame.evaluate("document.addEventListener('closed', () => { window.closed_once = true; })")
    dialog.get_by_role("button", name="Nachricht senden").click()
    expect(frame.get_by_role("link", name="/conversations/")).to_be_visible()
    message = place.messages()[-1]
    assert (message.content, message.host_user) == ("Aus dem Rahmen", "customer-42")
    frame.evaluate("document.querySelector('#widget').close()")
    frame.wait_for_function("window.closed_once")


def test_it_works_in_firefox_too(place: Place, firefox: Firefox) -> None:
    before = len(place.messages())
    firefox.open(place.host.add("/firefox", f"<main><h1>Shop</h1>{place.script}</main>", policy=place.policy))
    assert firefox.wait_for(lambda: firefox.script(_OPEN))
    assert firefox.script(_FILL) == "feedback-form"
    link = firefox.wait_for(lambda: firefox.script(f"return {_ROOT}.querySelector('a.private')?.href"))
    assert link.startswith(f"{place.site.url}/conversations/")
    [message] = place.messages()[before:]
    assert (message.content, message.page_url) == ("From Firefox", f"{place.host.url}/firefox")


_ROOT = "document.querySelector('feedback-form').shadowRoot"
_OPEN = "return document.querySelector('feedback-form').open();"
_FILL = f"""
const form = {_ROOT}.querySelector("dialog[open] form");
form.elements.content.value = "From Firefox";
form.elements["answers.1"].value = "2.0";
form.requestSubmit();
return document.activeElement.localName;
"""


def test_the_dashboard_has_the_lines_a_preview_and_the_sites_that_have_loaded_the_form(
    place: Place, chromium: Browser
) -> None:
    with chromium.new_context(base_url=place.site.url, locale="en", reduced_motion="reduce") as context:
        context.grant_permissions(["clipboard-read", "clipboard-write"])
        walker = Walker(context, "en", "add-to-site")
        page = walker.page
        walker.start()
        sign_in(page)
        page.goto("/admin/forms")
        page.get_by_role("link", name="Add to your site Shop").click()
        copy = page.locator("[data-copy=snippet-corner]")
        copy.click()
        expect(copy).to_have_text("Copied")
        policy = f"default-src 'none'; {page.locator('#snippet-policy').inner_text()}"
        host_page = context.new_page()
        host_page.goto(place.host.add("/empty", "Nothing"))
        copied = host_page.evaluate("navigator.clipboard.readText()")  # our policy lets no page of ours read it
        host_page.goto(place.host.add("/copied", copied, policy=policy))
        expect(host_page.get_by_role("button", name="Feedback")).to_have_attribute("aria-haspopup", "dialog")
        page.reload()
        expect(page.locator("#loads li", has_text=place.host.url)).to_contain_text("Works")
        walker.look("page", CHECKED)
        page.get_by_role("button", name="Feedback").click()
        page.get_by_label("Which version?").fill("2.0")
        page.get_by_label("Your message").fill("From the preview")
        page.get_by_role("button", name="Send message").click()
        expect(page.get_by_role("link", name="/conversations/")).to_be_visible()
        assert place.messages()[-1].content == "From the preview"
        assert walker.complaints == []
