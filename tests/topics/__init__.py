"""Tests of feedback_push/topics."""
