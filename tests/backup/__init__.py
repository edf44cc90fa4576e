"""Tests of feedback_push.backup."""
