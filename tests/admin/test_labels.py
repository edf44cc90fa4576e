"""admin/labels.py: a delivery's stage, reason and next step as text."""

import pytest

from feedback_push.admin import labels
from feedback_push.database import utcnow
from feedback_push.push.history import LeftOut, Stage
from feedback_push.push.models import Delivery, DeliveryState, Subscription
from feedback_push.webpush import responses


def reason(
    state: DeliveryState, error: str | None = None, status: int | None = None, detail: str | None = None
) -> str | None:
    return labels.reason(Delivery(state=state, error=error, status=status, detail=detail))


@pytest.mark.parametrize("error", responses.PushError.__subclasses__())
def test_every_refusal_has_its_own_text(error: type[responses.PushError]) -> None:
    told = {other.code: reason(DeliveryState.FAILED, other.code) for other in responses.PushError.__subclasses__()}
    assert told[error.code]
    assert list(told.values()).count(told[error.code]) == 1


@pytest.mark.parametrize(
    ("state", "error", "told"),
    [
        (DeliveryState.WAITING, None, None),
        (DeliveryState.WAITING, "throttled", "The push service asks us to wait."),
        (DeliveryState.ACCEPTED, None, None),
        (DeliveryState.ACCEPTED, "unavailable", None),
        (DeliveryState.FAILED, "gone", "The browser has unsubscribed."),
        (DeliveryState.EXPIRED, None, "It expired."),
        (DeliveryState.EXPIRED, "unavailable", "The push service could not be reached."),
        (DeliveryState.SUMMARISED, "unavailable", None),
    ],
)
def test_only_what_went_wrong_is_explained(state: DeliveryState, error: str | None, told: str | None) -> None:
    assert reason(state, error) == told


def test_the_push_services_own_words_follow_ours() -> None:
    refused = "The push service refuses this site's key, contact or clock."
    assert reason(DeliveryState.WAITING, "misconfigured", 403, "BadJwtToken") == f"{refused} (403 BadJwtToken)"
    assert reason(DeliveryState.WAITING, "misconfigured", 403, "") == f"{refused} (403)"
    assert reason(DeliveryState.WAITING, "misconfigured") == refused


def test_every_stage_and_every_reason_to_be_left_out_has_words() -> None:
    assert set(labels.STAGES) == set(labels.COUNTED) == set(Stage)
    assert set(labels.LEFT_OUT) == set(LeftOut)
    assert len({str(label) for label in labels.STAGES.values()}) == len(Stage)


def test_what_was_shown_needs_no_explanation_whatever_else_went_wrong() -> None:
    shown = Delivery(state=DeliveryState.WAITING, error="misconfigured", shown_at=utcnow())
    assert labels.reason(shown) is None
    assert labels.next_step(shown) is None


def test_a_final_refusal_comes_with_what_can_be_done() -> None:
    final = [responses.Gone, responses.KeyMismatch, responses.Rejected]
    failed = {"state": DeliveryState.FAILED, "subscription": Subscription(user_id=1)}
    told = [labels.next_step(Delivery(error=error.code, **failed)) for error in final]
    assert all(told)
    assert len(set(told)) == 3
