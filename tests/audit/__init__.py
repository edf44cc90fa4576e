"""Other people's tools, run against a real site: what they find is printed as one table."""
