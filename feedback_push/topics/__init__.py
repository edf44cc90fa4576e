"""Topics: visitors follow them, and administrators or a feed broadcast notifications to everyone who does."""

from feedback_push.topics import broadcasts, feeds, questions, tasks  # they register clean-ups and tasks

__all__ = ["broadcasts", "feeds", "questions", "tasks"]
