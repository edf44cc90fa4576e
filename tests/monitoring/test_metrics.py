"""/metrics: one truth from any process, behind a token, with totals that never fall."""

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import event

from feedback_push import event_counts
from feedback_push.database import db, utcnow
from feedback_push.feedback import purge
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.monitoring.collector import Collector
from feedback_push.push import answers, claims, queue_state, receipts, results
from feedback_push.push.models import Delivery, OutboxEntry
from feedback_push.push.receipts import Event
from feedback_push.webpush import endpoints
from feedback_push.webpush.endpoints import EndpointPolicy
from feedback_push.webpush.gateway import Result
from feedback_push.webpush.responses import Gone, Postponed, Throttled
from tests.feedback.messages import in_spam, receive
from tests.push.devices import owner, unreachable_devices
from tests.push.notes import announce, claim, note, time_passes
from tests.visits import Visit, Visitor

TOKEN = "for-the-scraper-only"


def samples() -> dict[str, float]:
    """Return every sample by name and labels, as `name{label="value"}`."""
    return {
        f"{sample.name}{{{','.join(f'{name}={value}' for name, value in sorted(sample.labels.items()))}}}": sample.value
        for family in Collector().collect()
        for sample in family.samples
    }


def test_without_a_token_there_is_no_page_and_without_the_right_one_no_metric(visit: Visit) -> None:
    assert visit().get("/metrics").status_code == 404
    scraper = visit(metrics_token=TOKEN)
    wrong = ["", TOKEN, f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN} " * 50]
    for sent in wrong:
        refused = scraper.get("/metrics", headers={"Authorization": sent})
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
        assert "feedback_push_" not in refused.text
    assert scraper.get("/metrics").status_code == 401
    answer = scraper.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    assert len(list(text_string_to_metric_families(answer.text))) > 8
    asked = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/openmetrics-text; version=1.0.0"}
    assert scraper.get("/metrics", headers=asked).text.endswith("# EOF\n")


@pytest.mark.server
def test_every_process_gives_the_same_answer(visit: Visit) -> None:
    some, other = (visit(metrics_token=TOKEN, ratelimit_enabled=True) for _ in range(2))
    before = posts(some)  # Redis keeps counts of earlier tests
    for browser in (some, other, other):
        assert browser.send("/feedback/", content="Hello", submitter_name="Ada").status_code == 303
    assert other.send("/feedback/", content="", submitter_name="Ada").status_code == 422
    assert posts(some) == posts(other) == before + Counter(accepted=3, invalid=1)


def posts(browser: Visitor) -> Counter[str]:
    """Return the posts of the form by outcome, as a process tells them."""
    text = browser.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
    told = re.findall(r'^feedback_push_form_posts_total\{outcome="([^"]+)"\} ([\d.]+)$', text, re.MULTILINE)
    return Counter({outcome: int(float(number)) for outcome, number in told})


@pytest.mark.server
def test_posts_are_counted_by_outcome_and_spam_by_reason(app: Flask, client: Visitor) -> None:
    before = samples()
    receive()
    in_spam(SpamReason.HONEYPOT)
    in_spam(SpamReason.TOO_FAST)
    client.send("/feedback/", content="", submitter_name="")
    client.post("/feedback/", data={"content": "without a token"})
    client.post("/feedback/", data={"content": "x" * 4_000_000})
    now = samples()
    grown = {name: value - before[name] for name, value in now.items() if "disk" not in name and value != before[name]}
    assert grown == {
        "feedback_push_form_posts_total{outcome=accepted}": 1,
        "feedback_push_form_posts_total{outcome=spam}": 2,
        "feedback_push_form_posts_total{outcome=invalid}": 2,
        "feedback_push_form_posts_total{outcome=too-large}": 1,
        "feedback_push_spam_messages_total{reason=honeypot}": 1,
        "feedback_push_spam_messages_total{reason=too-fast}": 1,
        "feedback_push_queue_entries{}": 1,
        "feedback_push_queue_oldest_seconds{priority=,stage=fan-out}": now[
            "feedback_push_queue_oldest_seconds{priority=,stage=fan-out}"
        ],
    }


def test_without_redis_the_counts_that_only_it_has_are_left_out(without_broker: Flask) -> None:
    receive()
    told = samples()
    assert told["feedback_push_form_posts_total{outcome=accepted}"] == 1
    assert "feedback_push_form_posts_total{outcome=invalid}" not in told


def test_answers_are_counted_by_service_and_outcome_and_outlive_their_deliveries(any_app: Flask) -> None:
    unreachable_devices(owner(), 4)
    announce()
    batch = claim()
    errors = [None, Gone(status=410), Throttled(status=429), Postponed()]
    results.record([Result(claimed, None, error) for claimed, error in zip(batch, errors, strict=True)], utcnow())
    db.session.commit()
    receipts_of = batch[0].id
    for _ in range(2):  # a second report changes nothing
        if (entry_id := receipts.record(receipts_of, Event.SHOWN, utcnow())) is not None:
            answers.count_shown(entry_id, utcnow())
        db.session.commit()
    told = samples()
    pushes = {name: value for name, value in told.items() if name.startswith("feedback_push_pushes_total")}
    assert pushes == {
        f"feedback_push_pushes_total{{outcome={outcome},service=127.0.0.1}}": 1
        for outcome in ("accepted", "gone", "throttled")
    }
    assert told["feedback_push_push_seconds_count{priority=alarm}"] == 1
    assert told["feedback_push_push_seconds_bucket{le=+Inf,priority=alarm}"] == 1
    assert told["feedback_push_push_seconds_count{priority=broadcast}"] == 0
    assert told["feedback_push_shown_seconds_count{}"] == 1
    time_passes(400 * 86400)
    purge.remove_old(utcnow())
    db.session.commit()
    assert db.session.query(Delivery).count() == db.session.query(OutboxEntry).count() == 0
    later = samples()
    assert all(later[name] == value for name, value in told.items() if "_total" in name or "_seconds_" in name)


def test_what_expires_is_counted_and_what_is_undone_is_not(app: Flask) -> None:
    unreachable_devices(owner(), 1)
    announce()
    [claimed] = claim()
    results.record([Result(claimed, 201, None)], utcnow())
    db.session.rollback()  # as after a failure of the database; the results are then recorded again
    results.expire([claimed])
    db.session.commit()
    pushes = {name: value for name, value in samples().items() if name.startswith("feedback_push_pushes_total")}
    assert pushes == {"feedback_push_pushes_total{outcome=expired,service=127.0.0.1}": 1}


def test_the_queue_is_told_by_priority_with_the_age_of_its_oldest(any_app: Flask) -> None:
    unreachable_devices(owner(), 3)
    announce()
    announce(note(tag="m-2"))
    time_passes(90)
    claims.take({claims.services_due(utcnow())[0]: claims.Room(2, 2)}, utcnow())
    db.session.commit()
    told = samples()
    assert told["feedback_push_queue_deliveries{due=now,priority=alarm}"] == 4
    assert told["feedback_push_queue_deliveries{due=later,priority=alarm}"] == 2
    assert 90 <= told["feedback_push_queue_oldest_seconds{priority=alarm,stage=send}"] < 200
    assert told["feedback_push_queue_deliveries{due=now,priority=broadcast}"] == 0
    assert told["feedback_push_queue_entries{}"] == 0


def test_a_long_queue_is_counted_only_so_far_and_read_from_its_index(any_app: Flask) -> None:
    unreachable_devices(owner(), 5)
    announce()
    asked = {"at": claims.services_due(utcnow())[0], "of": 0, "now": utcnow(), "most": 3}
    found = db.session.execute(queue_state.OF_SERVICE, asked).one()
    assert (found.now, found.later) == (3, 0)
    statements: list[tuple[str, Any]] = []
    event.listen(db.engine, "before_cursor_execute", lambda *told: statements.append((told[2], told[3])), named=False)
    db.session.execute(queue_state.OF_SERVICE, asked)
    on_postgresql = db.engine.dialect.name == "postgresql"
    connection = db.session.connection()
    if on_postgresql:
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
    statement, values = statements[0]
    explain = "EXPLAIN" if on_postgresql else "EXPLAIN QUERY PLAN"
    plan = "\n".join(str(row) for row in connection.exec_driver_sql(f"{explain} {statement}", values))
    assert plan.count("ix_push_delivery_due") >= 3
    assert "SCAN push_delivery" not in plan.replace("Index Only Scan", "")


def test_hosts_that_browsers_choose_share_the_name_in_the_list() -> None:
    policy = EndpointPolicy()
    hosts = {
        "https://fcm.googleapis.com": "fcm.googleapis.com",
        "https://wns2-par02p.notify.windows.com": "notify.windows.com",
        "https://a-stranger-made-this-up.notify.windows.com": "notify.windows.com",
        "https://web.push.apple.com": "web.push.apple.com",
        "https://evil.example": "other",
        "https://notify.windows.com.evil.example": "other",
    }
    assert {origin: policy.service_name(origin) for origin in hosts} == hosts
    named = {policy.service_name(f"https://{host.replace('*', 'x')}") for host in endpoints.KNOWN_HOSTS}
    assert len(named) <= len(endpoints.KNOWN_HOSTS)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_counts_that_are_added_at_the_same_time_are_all_there(app: Flask) -> None:
    def add(number: int) -> None:
        with app.app_context():
            keys = [("a", "1"), ("b", "2")]
            event_counts.add(dict.fromkeys(keys if number % 2 else reversed(keys), 1))
            db.session.commit()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(60)))
    assert event_counts.totals() == {("a", "1"): 60, ("b", "2"): 60}


def test_the_counts_of_days_are_kept_for_a_month(app: Flask) -> None:
    today = utcnow().date()
    days = [today - timedelta(days=age) for age in (0, 31, 32)]
    for day in days:
        event_counts.add_to_days({("message", day, ""): 2})
    event_counts.remove_old(utcnow())
    assert event_counts.of_days("message", days[-1]) == {day: {"": 2} for day in days[:2]}
