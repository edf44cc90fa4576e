"""Tests of feedback_push/alarms."""
