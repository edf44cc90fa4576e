"""The browsers of the other tests, for pages of other sites."""

from tests.browser.conftest import firefox, service
from tests.visual.conftest import chromium, playwright

__all__ = ["chromium", "firefox", "playwright", "service"]
