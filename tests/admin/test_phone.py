"""admin/phone.py: the QR code of a sign-in link, and the proxy for a site without https."""

import re
from typing import Any

import pytest
import segno
from flask import Flask

from feedback_push.auth import sign_in_links
from feedback_push.auth.audit_models import AuditEntry
from feedback_push.auth.models import SignInLink, User
from feedback_push.database import db
from tests.conftest import PASSWORD
from tests.visits import Page, Visit, Visitor

CADDYFILE = "{} {{\n    reverse_proxy {}\n}}"


def show(visitor: Visitor) -> Page:
    """Press the button and return the page."""
    token = visitor.read("/admin/devices").fields["csrf_token"]
    return Page(visitor.post("/admin/devices", data={"csrf_token": token}))


def dark_modules(path: str) -> set[tuple[int, int]]:
    """Return the column and row of each dark module that an SVG path draws."""
    found, x, y = set(), 0.0, 0.0
    for kind, right, down, length in re.findall(r"([Mm])([-\d.]+) ([-\d.]+)|h(\d+)", re.sub(r"(\d)-", r"\1 -", path)):
        if kind:
            x, y = (float(right), float(down)) if kind == "M" else (x + float(right), y + float(down))
        else:
            found |= {(int(x) + step, int(y)) for step in range(int(length))}
            x += int(length)
    return found


def test_the_picture_is_the_qr_code_of_a_link_that_signs_in(app: Flask, dashboard: Visitor, staff: User) -> None:
    page = show(dashboard)
    address = page.one("code", id="sign-in-link").words
    drawn = dark_modules(page.one("path", class_="qrline").attributes["d"])
    meant = {
        (column, row)
        for row, line in enumerate(segno.make(address, error="m", micro=False).matrix_iter(border=4))
        for column, dark in enumerate(line)
        if dark
    }
    assert drawn == meant
    db.session.rollback()
    assert sign_in_links.find(address.partition("#")[2]) == staff
    assert [entry.event for entry in db.session.query(AuditEntry).order_by(AuditEntry.id)][-1] == "sign-in-link-made"
    assert "style=" not in dashboard.get("/admin/devices").text


def test_the_page_alone_makes_no_link_and_a_new_one_ends_the_one_before(dashboard: Visitor) -> None:
    assert dashboard.read("/admin/devices").all("svg", class_="segno") == []
    db.session.rollback()
    assert db.session.query(SignInLink).count() == 0
    first, second = (show(dashboard).one("code", id="sign-in-link").words.partition("#")[2] for _ in range(2))
    db.session.rollback()
    assert sign_in_links.find(first) is None
    assert sign_in_links.find(second)


@pytest.mark.parametrize(
    ("changes", "caddyfile", "only_here"),
    [
        ({}, CADDYFILE.format("feedback.example.org", "127.0.0.1:8000"), True),
        ({"site_url": "http://192.0.2.7:9000"}, CADDYFILE.format("feedback.example.org", "127.0.0.1:8000"), False),
        (
            {"site_url": "http://forms.example.com", "host": "::1", "port": 8123},
            CADDYFILE.format("forms.example.com", "[::1]:8123"),
            False,
        ),
    ],
)
def test_a_site_without_https_says_why_a_phone_needs_it_and_shows_three_lines(
    visit: Visit, staff: User, changes: dict[str, Any], caddyfile: str, only_here: bool
) -> None:
    visitor = visit(**changes)
    visitor.sign_in(staff.email, PASSWORD)
    part = visitor.read("/admin/devices").one(id="needs-https")
    assert "A phone needs an https address." in part.words
    assert ("Only this computer can open http://127.0.0.1:8000" in part.words) is only_here
    assert caddyfile in part.raw
    assert len(caddyfile.splitlines()) == 3
    assert f"SITE_URL=https://{caddyfile.split(maxsplit=1)[0]} TRUSTED_PROXIES=1" in part.words


def test_with_https_nothing_is_said_about_it(visit: Visit, staff: User) -> None:
    visitor = visit(site_url="https://feedback.example.org")
    visitor.sign_in(staff.email, PASSWORD)
    assert visitor.read("/admin/devices").all(id="needs-https") == []
    assert show(visitor).one("code", id="sign-in-link").words.startswith("https://feedback.example.org/login/link#")
