"""The visitors' half: private pages with the answers to a message, and push notifications for visitors."""

from feedback_push.visitors import conversation_page, push

blueprints = (conversation_page.blueprint, push.blueprint)

__all__ = ["blueprints"]
