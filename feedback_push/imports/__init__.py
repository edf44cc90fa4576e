"""Import messages and push subscriptions from other programs: Django's tables, CSV files and JSON lists."""
