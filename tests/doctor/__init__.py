"""Tests of feedback_push.doctor."""
