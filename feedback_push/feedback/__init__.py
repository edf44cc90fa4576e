"""The feedback that visitors leave."""

from feedback_push.feedback import purge, used_proofs
from feedback_push.feedback.views import blueprint

__all__ = ["blueprint", "purge"]

blueprint.record_once(lambda state: used_proofs.init_app(state.app))  # type: ignore[arg-type]
