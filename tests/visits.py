"""A browser without JavaScript: it keeps cookies, reads pages, and sends their forms with the values on the page."""

from collections.abc import Callable
from contextvars import Context
from html.parser import HTMLParser
from typing import Any, Protocol
from urllib.parse import urljoin

from flask import Flask, has_app_context
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from feedback_push.database import db

_WITHOUT_END = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Visitor(FlaskClient):
    """Request pages under SITE_URL, each in its own application context, as a server does.

    Inside the test's application context, all requests would share one `g`, and with it the signed-in user.
    """

    def __init__(self, app: Flask, *args: Any, **kwargs: Any) -> None:
        super().__init__(app, *(args or [app.response_class]), **kwargs)
        self.site = app.extensions["settings"].site_url

    def open(self, *args: Any, buffered: bool = True, **kwargs: Any) -> TestResponse:
        if has_app_context():
            db.session.rollback()  # on SQLite, the request would wait for a transaction that the test has left open
        if isinstance(args[0], str):
            kwargs.setdefault("base_url", self.site)
        response: TestResponse = Context().run(super().open, *args, buffered=buffered, **kwargs)
        return response

    def read(self, address: str) -> "Page":
        """Return the page at an address."""
        return Page(self.get(address))

    def send(self, address: str, /, **typed: Any) -> TestResponse:
        """Open the page at an address, fill in the fields of its form, and send it."""
        fields = {**self.read(address).fields, **typed}
        return self.post(address, data=fields, headers={"Referer": urljoin(self.site, address)})

    def sign_in(self, email: str, password: str, **more: str) -> TestResponse:
        """Send the sign-in form."""
        return self.send("/login", email=email, password=password, **more)

    def sign_out(self) -> TestResponse:
        """Click the sign-out button of the dashboard."""
        token = self.read(self.application.extensions["settings"].admin_url).fields["csrf_token"]
        return self.post("/logout", data={"csrf_token": token}, headers={"Referer": self.site})

    def signed_in(self) -> bool:
        """Return whether the dashboard opens."""
        return self.get(self.application.extensions["settings"].admin_url).status_code == 200

    def cookie_line(self, response: TestResponse, name: str) -> str:
        """Return the answer's Set-Cookie line for this cookie."""
        lines = [line for line in response.headers.getlist("Set-Cookie") if line.startswith(f"{name}=")]
        assert len(lines) == 1, response.headers
        return lines[0]


Visit = Callable[..., Visitor]  # a browser on a site with these settings changed


class Element:
    """One element of a page with all the text inside it: the parts of `texts` between its beginning and its end."""

    def __init__(self, tag: str, attributes: dict[str, str], texts: list[str]) -> None:
        self.tag = tag
        self.attributes = attributes
        self._texts = texts
        self._begin = len(texts)
        self._end: int | None = None

    def close(self) -> None:
        """End it here."""
        self._end = len(self._texts)

    @property
    def raw(self) -> str:
        """The text with its spaces and line ends."""
        return "".join(self._texts[self._begin : self._end])

    @property
    def words(self) -> str:
        """The text as a person reads it, with single spaces and plain hyphens."""
        return " ".join(self.raw.replace("\u2011", "-").split())

    def matches(self, tag: str, attributes: dict[str, str]) -> bool:
        """Return whether it has this tag (any tag if empty) and these attributes."""
        return tag in ("", self.tag) and attributes.items() <= self.attributes.items()


class Answer(Protocol):
    """The interface that all HTTP clients' responses share."""

    @property
    def status_code(self) -> int: ...
    @property
    def text(self) -> str: ...


class Page(HTMLParser):
    """The elements of a page, found by tag and attributes."""

    def __init__(self, response: Answer) -> None:
        super().__init__()
        self.status = response.status_code
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self._texts: list[str] = []
        self._inert = 0
        self.feed(response.text)

    def updatepos(self, i: int, j: int) -> int:  # noqa: ARG002
        """Count no lines, because nobody asks where an element stands."""
        return j

    @property
    def fields(self) -> dict[str, Any]:
        """The fields that the form would send unchanged; unchecked boxes send nothing, several checked ones a list."""
        found = [element for element in self.elements if element.attributes.get("name") and _is_sent(element)]
        fields: dict[str, Any] = {element.attributes["name"]: _value(element) for element in found}
        boxes = [element for element in found if element.attributes.get("type") == "checkbox"]
        for name in {box.attributes["name"] for box in boxes}:
            values = [_value(box) for box in boxes if box.attributes["name"] == name]
            fields[name] = values if len(values) > 1 else values[0]
        return fields

    @property
    def alert(self) -> str:
        """The message at the top of the page; empty if there is none."""
        return " ".join(element.words for element in self.all(role="alert"))

    def all(self, tag: str = "", /, **attributes: str) -> list[Element]:
        """Return all elements with this tag and these attributes (`class_` for class, `_` for the hyphen)."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [element for element in self.elements if element.matches(tag, wanted)]

    def one(self, tag: str = "", /, **attributes: str) -> Element:
        """Return the only such element; fail if there is not exactly one."""
        [element] = self.all(tag, **attributes)
        return element

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inert += tag == "template" or bool(self._inert and tag not in _WITHOUT_END)
        if self._inert:  # the content of a template is not part of the page
            return
        element = Element(tag, {name: value or "" for name, value in attrs}, self._texts)
        self.elements.append(element)
        if tag == "option" and ("selected" in element.attributes or "value" not in self._open[-1].attributes):
            self._open[-1].attributes["value"] = element.attributes["value"]  # of its select element
        if tag in _WITHOUT_END:
            element.close()
        else:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        if self._inert:
            self._inert -= 1
            return
        while self._open:
            element = self._open.pop()
            element.close()
            if element.tag == tag:
                break

    def handle_data(self, data: str) -> None:
        if not self._inert:
            self._texts.append(data)


def _is_sent(element: Element) -> bool:
    if element.attributes.get("type") in ("checkbox", "radio"):
        return "checked" in element.attributes
    return element.tag in ("input", "textarea", "select")


def _value(element: Element) -> str:
    if element.tag != "textarea":
        return element.attributes.get("value", "")
    # As in a browser: the line end right after <textarea> is not part of the text.
    return element.raw.replace("\r\n", "\n").removeprefix("\n")
