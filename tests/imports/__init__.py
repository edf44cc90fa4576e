"""Tests of feedback_push/imports/."""
