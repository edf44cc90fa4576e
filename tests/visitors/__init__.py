"""Tests of feedback_push/visitors."""
