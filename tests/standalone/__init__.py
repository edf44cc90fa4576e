"""Stand-ins for the outside world, real servers on loopback, that know nothing of the application's code."""
