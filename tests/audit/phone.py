"""A phone: the form's first paint on a slow network, and how long the inbox keeps a slow processor from answering."""

import json
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Browser, BrowserContext, CDPSession, sync_playwright

from tests.audit.findings import Findings
from tests.site import Site
from tests.visual import fixtures
from tests.visual.conftest import FLAGS, executable

# A slow mobile network: 1.6 Mbit/s down, 750 kbit/s up, 150 ms for each answer.
_NETWORK = {"offline": False, "latency": 150, "downloadThroughput": 200_000, "uploadThroughput": 93_750}
_SLOWER = 4  # the phone's processor, compared with this one
_TIMES = 5
_LONG_TASK = 50  # milliseconds; only the rest of a longer task keeps people waiting (Total Blocking Time)
FIRST_PAINT = 800  # milliseconds
BLOCKED = 200  # milliseconds
SENT = 40_000  # bytes
_PHONE: dict[str, Any] = {
    "viewport": {"width": 412, "height": 823},
    "device_scale_factor": 1.75,
    "is_mobile": True,
    "has_touch": True,
}


def findings(site: Site, folder: Path) -> Findings:
    """Open the form and the inbox, each in a new browser every time."""
    cookies = [
        {"name": name, "value": value, "url": site.url} for name, value in site.staff(fixtures.STAFF).cookies.items()
    ]
    forms, blocked = [], []
    with sync_playwright() as playwright:
        for _ in range(_TIMES):
            browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
            with browser.new_context(base_url=site.url, **_PHONE) as context:
                forms.append(_form(context))
            with browser.new_context(base_url=site.url, **_PHONE) as context:
                context.add_cookies(cookies)  # type: ignore[arg-type]
                blocked.append(_blocked(browser, context, folder / "trace.json"))
            browser.close()
    paint, sent = median(paint for paint, _ in forms), max(sent for _, sent in forms)
    lines = [
        f"{'Phone':<14}{'first paint':>16}{'sent':>16}{'blocked':>16}",
        f"{'the form':<14}{f'{paint:.0f} ms':>16}{f'{sent / 1000:.1f} kB':>16}",
        f"{'the inbox':<14}{'':>16}{'':>16}{f'{median(blocked):.0f} ms':>16}",
    ]
    return Findings(lines, paint <= FIRST_PAINT and sent <= SENT and median(blocked) <= BLOCKED)


def _form(context: BrowserContext) -> tuple[float, int]:
    """Return the milliseconds until the form is painted, and the bytes sent for it."""
    page = context.new_page()
    session: CDPSession = context.new_cdp_session(page)
    sizes: list[int] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    session.send("Network.enable")
    session.send("Network.emulateNetworkConditions", _NETWORK)
    page.goto("/feedback/", wait_until="networkidle")
    paint: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    return paint, sum(sizes)


def _blocked(browser: Browser, context: BrowserContext, trace: Path) -> float:
    """Return the milliseconds for which the inbox blocks the phone.

    They are processor time, so that other programs on this machine do not count.
    """
    page = context.new_page()
    browser.start_tracing(page=page, path=trace, categories=["toplevel", "devtools.timeline"])
    page.goto("/admin/", wait_until="networkidle")
    browser.stop_tracing()
    events = json.loads(trace.read_text())["traceEvents"]
    # The browser's own start page has a main thread, too.
    threads = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "ParseHTML" and event["args"].get("beginData", {}).get("url") == page.url
    }
    assert threads
    tasks = [
        _SLOWER * event["tdur"] / 1000
        for event in events
        if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in threads and "tdur" in event
    ]
    return float(sum(max(0, task - _LONG_TASK) for task in tasks))
