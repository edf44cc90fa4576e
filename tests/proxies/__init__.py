"""The reverse proxies of docs/deploy.md, with the real programs in front of a real site."""
