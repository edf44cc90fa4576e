"""The tests of feedback_push/web_server/."""
