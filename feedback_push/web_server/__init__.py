"""The web server: waitress, with limits on the time and size of every request, response and connection.

`python -m feedback_push.web_server` serves the site at HOST and PORT until SIGTERM.
"""
