"""Measure the inbox page with few and with very many messages."""

from contextlib import ExitStack

from benchmarks import launcher, rows, site, two_sizes
from benchmarks.browser import Browser
from benchmarks.report import Table
from benchmarks.site import Kind
from benchmarks.stage import Stage
from benchmarks.two_sizes import Comparison


def measure(stage: Stage) -> Table:
    """Open the page of a signed-in browser again and again."""
    return two_sizes.measure(
        stage,
        Comparison(
            name="inbox",
            title="The inbox page, signed in, one request after another",
            counted="messages",
            sizes=stage.scale.messages,
            requests=stage.scale.pages,
            start=_start,
        ),
    )


class _Inbox(Browser):
    """A browser that opens the inbox."""

    def request(self) -> None:
        """Open the page."""
        self.open_inbox()


def _start(stage: Stage, stack: ExitStack, kind: Kind, size: int) -> _Inbox:
    made = stack.enter_context(site.made(stage, kind, embedded_broker=True))
    with made.app.app_context():
        rows.add_messages(size)
    stack.enter_context(launcher.running(stage, made.settings))
    browser = _Inbox(made.settings)
    browser.sign_in()
    assert "Ada Lovelace" in browser.open_inbox()
    return browser
