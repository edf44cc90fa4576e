"""counters.py: all processes count together, and each for itself while Redis takes nothing; in bounded memory."""

import redis
from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage

from feedback_push import counters
from tests.visits import Visit

LIMIT = RateLimitItemPerHour(3)


def test_processes_count_together_until_redis_is_full_and_then_each_for_itself(
    visit: Visit, own_redis_url: str
) -> None:
    one, another = (visit(redis_url=own_redis_url).application for _ in range(2))
    with one.app_context():
        assert [counters.hit(LIMIT, "key", 2), counters.hit(LIMIT, "key", 2)] == [True, False]
    with another.app_context(), redis.Redis.from_url(own_redis_url) as server:
        assert counters.left(LIMIT, "key") == 1
        server.config_set("maxmemory", 1)
        assert [counters.hit(LIMIT, "key") for _ in range(4)] == [True, True, True, False]
        assert counters.left(LIMIT, "key") == 0
    with one.app_context():
        assert counters.hit(LIMIT, "another key", 3)


def test_a_flood_of_keys_does_not_fill_the_memory() -> None:
    memory = counters._BoundedMemory()  # noqa: SLF001 - without Redis, this is where everything is counted
    assert isinstance(memory, MemoryStorage)
    memory.MOST = 100
    for number in range(1000):
        memory.incr(f"flood:{number}", 600)
    assert len(memory.storage) == 100
    assert (memory.incr("flood:999", 600), memory.incr("flood:0", 600)) == (2, 1)
