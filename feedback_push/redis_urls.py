"""Spell a Redis URL as redis-py, Limits and Celery each expect it, and limit a request's wait for Redis.

Certificates are always verified.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit

# In seconds, and short: a request goes on without Redis.
WEB_TIMEOUTS = {"socket_connect_timeout": 0.1, "socket_timeout": 0.2}


def for_client(url: str) -> str:
    """Return the URL for redis-py, which verifies certificates by default."""
    return _without_cert_reqs(url)


def for_limits(url: str) -> str:
    """Return the URL for the storage of Limits."""
    return for_client(url).replace("unix://", "redis+unix://", 1) if url.startswith("unix:") else for_client(url)


def for_celery(url: str) -> str:
    """Return the URL for Celery and kombu, which verify certificates only if an option requires it."""
    parts = urlsplit(_without_cert_reqs(url))
    if parts.scheme == "unix":
        database = dict(parse_qsl(parts.query)).get("db", "0")
        return f"redis+socket://{parts.netloc}{parts.path}?virtual_host={database}"
    if parts.scheme == "rediss":
        return parts._replace(query="&".join(filter(None, [parts.query, "ssl_cert_reqs=required"]))).geturl()
    return url


def _without_cert_reqs(url: str) -> str:
    parts = urlsplit(url)
    if "ssl_cert_reqs" not in parts.query:
        return url
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name != "ssl_cert_reqs"]
    return parts._replace(query=urlencode(kept)).geturl()
