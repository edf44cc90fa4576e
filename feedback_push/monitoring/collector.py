"""Collect the metrics: totals and the state of the queue from the database, and the counts of refused posts from Redis.

Nothing here depends on the process that answers. Every query reads a bounded number of rows.
"""

from collections.abc import Iterable, Iterator, Sequence

from flask import current_app
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from feedback_push import disk, event_counts
from feedback_push.alarms import incidents
from feedback_push.database import db
from feedback_push.feedback.spam_reasons import SpamReason
from feedback_push.monitoring import form_posts
from feedback_push.push import answers, circuit_breaker, queue_state, subscriptions
from feedback_push.push.models import Priority
from feedback_push.webhooks import queue_state as webhook_queue
from feedback_push.webhooks.models import State, TargetKind

_STORED = ("accepted", "spam")
_SENT = (State.SENT.value, "retried", State.FAILED.value, State.CANCELLED.value)
_MB = 1024 * 1024
Totals = dict[tuple[str, str], int]


class Collector:
    """The source of all metrics, in the form that prometheus_client expects of a registry."""

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its samples."""
        totals = event_counts.totals()
        queue, entries = queue_state.deliveries(), queue_state.entries()
        circuits = circuit_breaker.open_circuits()
        devices = subscriptions.administrators_by_state()
        webhooks, alarms = webhook_queue.waiting(), incidents.count_open()
        db.session.rollback()  # hold no transaction open while asking Redis
        yield InfoMetricFamily("feedback_push", "The release that runs.", {"version": current_app.config["VERSION"]})
        yield _form_posts(totals)
        yield _spam(totals)
        yield from _pushes(totals)
        yield from _queue(queue, entries)
        yield _gauge("open_circuits", "Push services that refuse our key, contact or clock.", [((), len(circuits))])
        states = [((state,), count) for state, count in devices.items()]
        yield _gauge("devices", "Devices of administrators.", states, "state")
        yield from _webhooks(totals, webhooks)
        open_ = [((alarm.value,), count) for alarm, count in alarms.items()]
        yield _gauge("open_alarms", "Alarms that last, by kind.", open_, "alarm")
        if (free := disk.free_mb()) is not None:
            yield _gauge("disk_free_bytes", "Free space where the messages are stored.", [((), free * _MB)])


def _form_posts(totals: Totals) -> Metric:
    counts = {outcome: totals.get(("form_post", outcome), 0) for outcome in _STORED} | form_posts.unstored()
    rows = [((outcome,), count) for outcome, count in counts.items()]
    return _counter("form_posts", "Posts of the forms by outcome.", rows, "outcome")


def _spam(totals: Totals) -> Metric:
    rows = [((reason.value,), totals.get(("spam", reason), 0)) for reason in SpamReason]
    return _counter("spam_messages", "Messages that went to spam, by reason.", rows, "reason")


def _pushes(totals: Totals) -> Iterator[Metric]:
    rows = [(labels.split(" "), count) for (name, labels), count in sorted(totals.items()) if name == "push"]
    yield _counter("pushes", "Answers of push services, and deliveries that expired.", rows, "service", "outcome")
    sent = HistogramMetricFamily(
        "feedback_push_push_seconds", "From storing a notification to its acceptance.", labels=["priority"]
    )
    for name in (priority.name.lower() for priority in Priority):
        counts = {
            end.removeprefix(f"{name} "): count
            for (of, end), count in totals.items()
            if of == "push_seconds" and end.startswith(f"{name} ")
        }
        seconds = totals.get(("push_milliseconds", name), 0) / 1000
        sent.add_metric([name], _cumulative(counts, answers.SENT_WITHIN), seconds)
    yield sent
    shown = HistogramMetricFamily(
        "feedback_push_shown_seconds", "From storing an administrators' notification to its display."
    )
    counts = {end: count for (name, end), count in totals.items() if name == "shown_seconds"}
    seconds = totals.get(("shown_milliseconds", ""), 0) / 1000
    shown.add_metric([], _cumulative(counts, answers.SHOWN_WITHIN), seconds)
    yield shown


def _queue(queue: dict[Priority, queue_state.Waiting], entries: queue_state.Entries) -> Iterator[Metric]:
    waiting: list[tuple[Sequence[str], float]] = []
    oldest: list[tuple[Sequence[str], float]] = [(("fan-out", ""), entries.oldest)]
    for priority, found in queue.items():
        name = priority.name.lower()
        waiting += [((name, "now"), found.now), ((name, "later"), found.later)]
        oldest.append((("send", name), found.oldest))
    text = "Deliveries to be sent: due now, or later (retries, and those being sent)."
    yield _gauge("queue_deliveries", text, waiting, "priority", "due")
    yield _gauge("queue_entries", "Notifications that no worker has fanned out, at most 100.", [((), entries.waiting)])
    text = "How long the oldest has waited for a worker."
    yield _gauge("queue_oldest_seconds", text, oldest, "stage", "priority")


def _webhooks(totals: Totals, waiting: webhook_queue.Waiting) -> Iterator[Metric]:
    labels = [(kind.value, outcome) for kind in TargetKind for outcome in _SENT]
    counts = [(each, totals.get(("webhook", " ".join(each)), 0)) for each in labels]
    text = "Attempts to send an event to a webhook, and events that were not needed any more."
    yield _counter("webhooks", text, counts, "kind", "outcome")
    queue = [((due,), getattr(waiting, due)) for due in ("now", "later", "paused")]
    yield _gauge("webhooks_waiting", "Events to be sent: due now, later, or at a paused webhook.", queue, "due")
    text = "How long the oldest event has waited that is due or was refused."
    yield _gauge("webhooks_oldest_seconds", text, [((), waiting.oldest)])


def _counter(name: str, text: str, rows: Iterable[tuple[Sequence[str], float]], *labels: str) -> Metric:
    family = CounterMetricFamily(f"feedback_push_{name}", text, labels=labels)
    for values, count in rows:
        family.add_metric(values, count)
    return family


def _gauge(name: str, text: str, rows: Iterable[tuple[Sequence[str], float]], *labels: str) -> Metric:
    family = GaugeMetricFamily(f"feedback_push_{name}", text, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def _cumulative(counts: dict[str, int], ends: Sequence[float]) -> list[tuple[str, float]]:
    found, sum_ = [], 0
    for end in (*(f"{end:g}" for end in ends), "+Inf"):
        sum_ += counts.get(end, 0)
        found.append((end, float(sum_)))
    return found
