"""Results of broadcasts: counted less and less often, for the last time before the deliveries are removed."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from flask import Flask

from feedback_push.config import current_settings
from feedback_push.database import db, utcnow
from feedback_push.push.models import Delivery
from feedback_push.topics import broadcasts, results
from tests.push.devices import visitors
from tests.topics.followed import all_sent, fanned_out, new_topic, started


def test_results_are_final_an_hour_before_retention_removes_the_deliveries(any_app: Flask) -> None:
    days = 4
    any_app.extensions["settings"] = replace(current_settings(), retain_deliveries_days=days)
    broadcast = started(new_topic("tricks", *visitors(2)))
    fanned_out(broadcast)
    all_sent(broadcast)
    broadcasts.finish(utcnow())
    db.session.commit()
    begun = broadcast.started_at
    assert begun
    ages = []
    while (now := broadcast.count_at) is not None:
        results.count_due(now - timedelta(seconds=1))
        assert broadcast.count_at == now
        results.count_due(now)
        db.session.commit()
        ages.append(now - begun)
    assert ages[-1] == timedelta(days=days) - timedelta(hours=1)
    assert max(later - earlier for earlier, later in pairwise(ages)) <= timedelta(days=1)
    assert len(ages) < 50
    [counted] = (broadcast.results or {})["services"].values()
    assert counted["sent"] == 2
    broadcast.count_at = begun  # as if nothing had counted it until its deliveries were being removed
    db.session.query(Delivery).delete()
    db.session.commit()
    results.count_due(begun + timedelta(days=days, hours=1))
    db.session.commit()
    assert (broadcast.results or {})["services"] == {"127.0.0.1:1": counted}
    assert broadcast.count_at is None
