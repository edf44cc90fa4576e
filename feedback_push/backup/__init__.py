"""Back up the database, the keys and the logo into one file, and restore them."""
