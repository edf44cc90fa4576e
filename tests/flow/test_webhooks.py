"""A worker that is killed while it sends webhooks loses none of them."""

import pytest
from sqlalchemy import select, update

from feedback_push.database import db, utcnow
from feedback_push.webhooks.models import Delivery, State, Target
from tests import servers
from tests.doubles.webhook_receiver import Reply, WebhookReceiver
from tests.program import Program
from tests.site import Site
from tests.webhooks.receivers import new_target

MESSAGES = 5


@pytest.mark.parametrize("serving_site", ["sqlite", "postgresql"], indirect=True)
def test_a_killed_worker_loses_no_webhook_and_repeats_only_the_one_in_flight(site: Site) -> None:
    with WebhookReceiver() as receiver:
        with site.database():
            new_target(receiver)
        receiver.answer("/hook", Reply(), Reply(), Reply(silent=True))
        with site.work("--pool", "threads") as worker:
            visitor = site.visitor()
            for number in range(MESSAGES):
                visitor.write(f"Message {number}")
            receiver.wait_for(3)
            worker.kill()
        assert states(site) == [State.SENT] * 2 + [State.WAITING] * 3
        with site.database():  # instead of waiting for the end of its lease
            db.session.execute(update(Target).values(claimed_until=utcnow()))
            db.session.commit()
        with site.work("--pool", "threads") as other:
            servers.wait_until(lambda: set(states(site)) == {State.SENT} or not other.is_alive, 60, "the last webhook")
        texts = [request.json()["data"]["content"] for request in receiver.requests]
        assert texts == [f"Message {number}" for number in (0, 1, 2, 2, 3, 4)]
        assert len({request.id for request in receiver.requests}) == MESSAGES
        assert all(request.is_genuine for request in receiver.requests)
        assert_no_secret(worker, receiver)


def states(site: Site) -> list[State]:
    with site.database():
        return [State(state) for state in db.session.scalars(select(Delivery.state).order_by(Delivery.id))]


def assert_no_secret(worker: Program, receiver: WebhookReceiver) -> None:
    assert not [secret for secret in receiver.secrets if secret in worker.log]
