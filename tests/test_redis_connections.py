"""REDIS_URL over TLS and over a unix socket: web server, limits, readiness and worker all get the same connection."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import limits.storage
import pytest
import redis
from kombu import Connection
from kombu.exceptions import OperationalError

from feedback_push import url_validators
from feedback_push.config import Settings
from tests import servers
from tests.doubles.certificates import LoopbackAuthority
from tests.environment import environment_of
from tests.program import Program
from tests.visits import Visit

_WORKER = ["celery", "-A", "celery_worker", "worker", "--pool", "threads", "--concurrency", "1", "--without-mingle"]


def connected(settings: Settings) -> set[str]:
    """Return the clients that reach the server."""
    reached = set()
    with suppress(redis.RedisError), redis.Redis.from_url(settings.redis_client_url) as client:
        reached |= {"readiness"} if client.ping() else set()
    if limits.storage.storage_from_string(settings.ratelimit_storage_url).check():
        reached.add("limits")
    with suppress(OperationalError), Connection(settings.broker_url) as connection:
        connection.ensure_connection(max_retries=1, timeout=1)
        reached.add("celery")
    return reached


@contextmanager
def working(settings: Settings) -> Iterator[Program]:
    """Run a worker."""
    log = settings.instance_dir / "worker.log"
    with Program(_WORKER, log, environment_of(settings), is_preloaded=True) as worker:
        yield worker


def is_ready(visit: Visit, settings: Settings) -> bool:
    return visit(redis_url=settings.redis_url).get("/readyz").status_code == 200


@pytest.mark.server
def test_an_authority_that_is_not_trusted_is_refused_by_every_client_and_a_named_one_by_none(
    settings: Settings, visit: Visit, tmp_path: Path
) -> None:
    authority, port = LoopbackAuthority(tmp_path), servers.free_port()
    authority.server_context()
    pair = str(tmp_path / "server.pem")
    files = ["--tls-cert-file", pair, "--tls-key-file", pair, "--tls-ca-cert-file", str(authority.ca_file)]
    with servers.redis_server(tmp_path, None, "--tls-port", str(port), "--tls-auth-clients", "no", *files):
        address = f"rediss://127.0.0.1:{port}/1"
        untrusted = replace(settings, redis_url=url_validators.redis_url(address))
        trusted = replace(settings, redis_url=url_validators.redis_url(f"{address}?ssl_ca_certs={authority.ca_file}"))
        assert connected(untrusted) == set()
        assert connected(trusted) == {"readiness", "limits", "celery"}
        with working(untrusted) as worker:
            servers.wait_until(lambda: "certificate verify failed" in worker.log, 60, "the worker's refusal")
            assert not is_ready(visit, untrusted)
        with working(trusted):
            servers.wait_until(lambda: is_ready(visit, trusted), 60, "the worker's start")


@pytest.mark.server
def test_a_server_may_listen_on_a_socket_only(settings: Settings, visit: Visit, tmp_path: Path) -> None:
    path = tmp_path / "own redis.sock"
    with (
        servers.redis_server(tmp_path, None, "--unixsocket", str(path)) as plain,
        redis.Redis.from_url(plain) as server,
    ):
        server.config_set("requirepass", "p@ss/word")
        address = f"unix://:p%40ss%2Fword@{path}?db=3".replace(" ", "%20")
        on_socket = replace(settings, redis_url=url_validators.redis_url(address))
        assert connected(on_socket) == {"readiness", "limits", "celery"}
        with working(on_socket) as worker:
            servers.wait_until(lambda: is_ready(visit, on_socket), 60, "the worker's start")
        assert "p@ss" not in worker.log
        assert {name.partition("keys=")[0] for name in server.info("keyspace")} == {"db3"}
