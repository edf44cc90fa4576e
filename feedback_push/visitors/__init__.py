"""The visitors' half: private pages with the answers to a message, topics to follow, and notifications for both."""

from feedback_push.visitors import conversation_page, follow, push

blueprints = (conversation_page.blueprint, follow.blueprint, push.blueprint)

__all__ = ["blueprints"]
