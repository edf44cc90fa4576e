"""The pictures of the documentation, of a site with the demonstration's data."""
