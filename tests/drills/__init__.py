"""Drills: measure how long visitors wait while the site is under attack. `make drills` runs them.

A drill starts the real web server on loopback, measures visitors on the idle site, starts an attack, and measures
again. It prints one line, and asserts that visitors hardly noticed the attack. It compares with the same machine when
idle, so that a slow machine does not fail.

To write one:

1. Write the attack in `attacks.py`: a function that takes the site's port, an `Event` to set once the attack has begun
   and an `Event` that ends it, then its own arguments. It runs in a separate process, so that it takes no time from
   the visitors. Use a bounded number of sockets and threads.
2. Write a test in `test_*.py` that calls `drill(title, site, attack, *arguments)`. The fixture `start_site` starts a
   site with any settings changed. `drill` returns the visitors' experience, for further assertions.

Keep an attack under 20 seconds: all drills together have 5 minutes on two cores. `load.py` keeps a site busy for the
drills that stop parts of it.
"""
