"""Tests of feedback_push/demo/."""
