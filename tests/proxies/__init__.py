"""The reverse proxies of deploy/, with the real programs in front of a real site."""
