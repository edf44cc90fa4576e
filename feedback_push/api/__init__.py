"""The API for programs: messages, answers and notifications, and the forms on other sites."""

from feedback_push.api import description, forms, messages, notifications
from feedback_push.api.blueprint import blueprint

blueprints = (blueprint, forms.blueprint, forms.embed, description.blueprint)

__all__ = ["blueprints", "messages", "notifications"]
