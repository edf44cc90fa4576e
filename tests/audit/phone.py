"""A phone: the first paint, size and shifts of visitors' pages on a slow network, and how long pages block it."""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from playwright.sync_api import Browser, BrowserContext, CDPSession, sync_playwright
from sqlalchemy import update

from feedback_push import private_links
from feedback_push.database import db
from feedback_push.feedback.form_models import Form
from tests.audit.findings import Findings
from tests.embed.host import Host, host
from tests.site import Site
from tests.visual import fixtures
from tests.visual.conftest import FLAGS, executable

# A slow mobile network: 1.6 Mbit/s down, 750 kbit/s up, 150 ms for each answer.
_NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
_SLOWER = 4  # the phone's processor, compared with this one
_TIMES = 5
_LONG_TASK = 50  # milliseconds; only the rest of a longer task keeps people waiting (Total Blocking Time)
# Milliseconds; a private page is not compressed, because it holds a secret.
FIRST_PAINT = {"the form": 800, "the topics": 800, "a private page": 1_000}
BLOCKED = 200  # milliseconds
WIDGET = 100  # milliseconds that the widget adds to a host page's main thread
SENT = {"the form": 40_000, "the topics": 30_000, "a private page": 30_000}  # bytes, with all that the page loads
_PHONE: dict[str, Any] = {
    "viewport": {"width": 412, "height": 823},
    "device_scale_factor": 1.75,
    "is_mobile": True,
    "has_touch": True,
}


# The sum of what moved without anybody touching the page (Cumulative Layout Shift).
_MOVED = """() => new Promise((done) => {
  let moved = 0;
  const add = (list) => { for (const { value } of list.getEntries()) moved += value; };
  new PerformanceObserver(add).observe({ type: "layout-shift", buffered: true });
  setTimeout(() => done(moved), 100);
})"""


class Opened(NamedTuple):
    """A page that was opened: milliseconds until its first paint, bytes sent for it, and how much of it moved."""

    paint: float
    sent: int
    moved: float


def findings(site: Site, folder: Path) -> Findings:
    """Open visitors' pages and the inbox, each in a new browser every time."""
    cookies = [
        {"name": name, "value": value, "url": site.url} for name, value in site.staff(fixtures.STAFF).cookies.items()
    ]
    with site.database():
        token = private_links.token(fixtures.CONVERSATION, 1)
    addresses = {"the form": "/feedback/", "the topics": "/follow/", "a private page": f"/conversations/{token}"}
    pages: dict[str, list[Opened]] = {name: [] for name in addresses}
    blocked, added = [], []
    with host() as shop, sync_playwright() as playwright:
        plain, with_widget = _host_pages(site, shop)
        for _ in range(_TIMES):
            browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
            for name, address in addresses.items():
                with browser.new_context(base_url=site.url, **_PHONE) as context:
                    pages[name].append(_opened(context, address))
            with browser.new_context(base_url=site.url, **_PHONE) as context:
                context.add_cookies(cookies)  # type: ignore[arg-type]
                blocked.append(_blocked(browser, context, folder / "trace.json"))
            without = _busy(browser, plain, folder / "trace.json")
            added.append(_busy(browser, with_widget, folder / "trace.json") - without)
            browser.close()
    worst = {name: _worst(times) for name, times in pages.items()}
    lines = [f"{'Phone':<14}{'first paint':>16}{'sent':>16}{'moved':>16}{'blocked':>16}"]
    lines += [
        f"{name:<14}{f'{it.paint:.0f} ms':>16}{f'{it.sent / 1000:.1f} kB':>16}{it.moved:>16.3f}"
        for name, it in worst.items()
    ]
    lines.append(f"{'the inbox':<14}{'':>48}{f'{median(blocked):.0f} ms':>16}")
    lines.append(f"{'the widget':<14}{'':>48}{f'{median(added):.0f} ms':>16}")
    good = all(it.paint <= FIRST_PAINT[name] and it.sent <= SENT[name] and not it.moved for name, it in worst.items())
    return Findings(lines, good and median(blocked) <= BLOCKED and median(added) <= WIDGET)


def _host_pages(site: Site, shop: Host) -> tuple[str, str]:
    """Return the addresses of another site's page without the widget, and with it."""
    with site.database():
        db.session.execute(update(Form).where(Form.key == fixtures.FORM).values(origins=[shop.url]))
        db.session.commit()
    text = "<main><h1>A shop</h1><p>Hello.</p></main>"
    tag = f'<script type="module" src="{site.url}/embed/feedback.js" data-form="{fixtures.FORM}"></script>'
    return shop.add("/plain", text), shop.add("/widget", text + tag)


def _worst(opened: Sequence[Opened]) -> Opened:
    return Opened(median(it.paint for it in opened), max(it.sent for it in opened), max(it.moved for it in opened))


def _opened(context: BrowserContext, address: str) -> Opened:
    page = context.new_page()
    session: CDPSession = context.new_cdp_session(page)
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", _NETWORK)
    page.goto(address, wait_until="networkidle")
    paint: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return Opened(paint, sum(sizes), page.evaluate(_MOVED))


def _blocked(browser: Browser, context: BrowserContext, trace: Path) -> float:
    """Return the milliseconds for which the inbox blocks the phone."""
    return sum(max(0, task - _LONG_TASK) for task in _tasks(browser, context, "/admin/", trace))


def _busy(browser: Browser, address: str, trace: Path) -> float:
    """Return the milliseconds for which a page keeps the phone's main thread busy."""
    with browser.new_context(**_PHONE) as context:
        return sum(_tasks(browser, context, address, trace))


def _tasks(browser: Browser, context: BrowserContext, address: str, trace: Path) -> list[float]:
    """Open a page and return the milliseconds of its main thread's tasks on the phone.

    They are processor time, so that other programs on this machine do not count.
    """
    page = context.new_page()
    browser.start_tracing(page=page, path=trace, categories=["toplevel", "devtools.timeline"])
    page.goto(address, wait_until="networkidle")
    browser.stop_tracing()
    events = json.loads(trace.read_text())["traceEvents"]
    # The browser's own start page has a main thread, too.
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "ParseHTML" and event["args"].get("beginData", {}).get("url") == page.url
    }
    assert threads
    return [
        _SLOWER * event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads and "tdur" in event
    ]
