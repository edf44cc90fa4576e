"""Tests of feedback_push.push."""
