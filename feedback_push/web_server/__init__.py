"""The web server: waitress, with an end in time and size for every request, answer and connection.

`python -m feedback_push.web_server` serves the site at HOST and PORT until SIGTERM.
"""
