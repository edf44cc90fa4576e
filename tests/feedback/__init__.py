"""The feedback that visitors leave."""
