"""Tests of feedback_push.webpush."""
