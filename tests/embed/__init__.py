"""Tests of the elements for pages of other sites."""
