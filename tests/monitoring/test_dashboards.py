"""The dashboard for Grafana, the alerts and the page about them name metrics and labels that exist."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from feedback_push.database import db, utcnow
from feedback_push.monitoring.collector import Collector
from feedback_push.push import results
from feedback_push.webpush.gateway import Result
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce, claim
from tests.servers import CHECKOUT

DASHBOARD = CHECKOUT / "deploy/grafana/feedback-push.json"
ALERTS = CHECKOUT / "deploy/grafana/alerts.yml"
PAGE = CHECKOUT / "docs/monitoring.md"
FROM_PROMETHEUS = {"job", "le"}


@pytest.fixture
def labels(app: Flask) -> dict[str, set[str]]:
    """The names of all samples, with their labels."""
    unreachable_devices(owner(), 1)
    announce()
    results.record([Result(claimed, 201, None) for claimed in claim()], utcnow())
    db.session.commit()
    samples = [sample for family in Collector().collect() for sample in family.samples]
    return {sample.name: set(sample.labels) for sample in samples}


def expressions() -> list[str]:
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [*panels, *re.findall(r"expr: ((?:>-\n(?: {10}.*\n)+)|.*)", ALERTS.read_text())]


def test_every_expression_names_metrics_and_labels_that_exist(labels: dict[str, set[str]]) -> None:
    found = expressions()
    assert len(found) > 20
    for expression in found:
        for name, selector in re.findall(r"(feedback_push_\w+)(?:{([^}]*)})?", expression):
            used = set(re.findall(r"(\w+)=", selector)) | set(re.findall(r"\w+", " ".join(_groups(expression))))
            assert used <= labels[name] | FROM_PROMETHEUS, expression


def test_the_dashboard_can_be_imported_and_shows_every_metric(labels: dict[str, set[str]]) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["title"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in dashboard["panels"])
    assert _families(DASHBOARD) | {"feedback_push_info"} == {_family(name) for name in labels}


def test_the_page_describes_every_metric_and_every_alert(labels: dict[str, set[str]]) -> None:
    assert _families(PAGE) == {_family(name) for name in labels}
    alerts = re.findall(r"alert: (\w+)", ALERTS.read_text())
    assert re.findall(r"^\| `(FeedbackPush\w+)`", PAGE.read_text(), re.MULTILINE) == alerts


def _families(path: Path) -> set[str]:
    return {_family(name) for name in re.findall(r"feedback_push_[a-z_]+", path.read_text())}


def _family(name: str) -> str:
    return re.sub(r"_(total|bucket|count|sum)$", "", name)


def _groups(expression: str) -> list[str]:
    return re.findall(r"by \(([^)]*)\)", expression)
