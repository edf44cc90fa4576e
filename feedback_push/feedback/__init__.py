"""The feedback that visitors leave."""

from feedback_push.feedback import form_loads, note_sending, notes, plain_form, purge, tasks, views

blueprints = (views.blueprint, plain_form.blueprint)

__all__ = ["blueprints", "form_loads", "note_sending", "notes", "purge", "tasks"]
