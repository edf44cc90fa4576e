"""Fixtures of the doctor's tests: a web site that plays our own behind a proxy."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask

from feedback_push.config import Settings
from feedback_push.doctor import examination
from feedback_push.doctor.results import Result, State
from tests.doubles.web_site import Page, WebSite

SCRIPT = Page(
    b"const TEXTS = {};", content_type="text/javascript; charset=utf-8", headers={"Cache-Control": "no-cache"}
)


@pytest.fixture
def front() -> Iterator[WebSite]:
    """What the world sees at SITE_URL: all is well."""
    with WebSite() as site:
        site.pages["/healthz"] = Page(json.dumps({"status": "ok"}).encode(), content_type="application/json")
        site.pages["/admin/sw.js"] = site.pages["/visitor/sw.js"] = SCRIPT
        yield site


@pytest.fixture
def settings(settings: Settings, front: WebSite) -> Settings:
    """The settings of the site behind `front`."""
    return replace(settings, site_url=front.url)


def inside(check: str) -> list[Result]:
    """Return the lines of one check of the site itself."""
    return [result for result in examination.inside() if result.check == check]


def outside(check: str) -> list[Result]:
    """Return the lines of one check that asks others."""
    return [result for result in examination.outside() if result.check == check]


def faults(results: list[Result]) -> list[str]:
    """Return the checks that found something wrong; each says what mends it."""
    wrong = [result for result in results if result.state == State.WRONG]
    assert all(result.text and result.fix for result in wrong)
    return [result.check for result in wrong]


def use(app: Flask, **changes: Any) -> None:
    """Change some settings of the application."""
    app.extensions["settings"] = replace(app.extensions["settings"], **changes)
