"""Tests of feedback_push/webhooks."""
