"""The stage: the servers and keys that all measurements share, and the size of the measurements."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import push_service
from benchmarks.push_service import PushService
from feedback_push.webpush import vapid
from feedback_push.webpush.vapid import VapidKeys
from tests import servers


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of the measurements; sizes that depend on a sender's speed are in seconds."""

    rounds: int = 5
    seconds: float = 3.0  # of one sender, in one round, at one latency
    devices: int = 10_000  # of the whole project, in one round, at one latency
    hanging: int = 2_000  # devices at each of the push services
    growth: tuple[tuple[int, int], ...] = ((1_000, 3), (10_000, 3), (100_000, 1))  # devices, rounds
    flood: int = 6_000  # requests
    posting_rounds: int = 3
    posting_pushes: int = 10_000
    posts: int = 600
    messages: tuple[int, int] = (1_000, 1_000_000)
    pages: int = 40
    reactions: int = 40
    idle_seconds: float = 60.0  # some clean-ups run once a minute
    followers: tuple[int, int] = (10_000, 100_000)  # of a broadcast; `--followers` sets the larger one
    overtaken: int = 20_000  # followers of the broadcast that alarms overtake, on SQLite
    alarms: int = 120
    subscribed: tuple[int, int] = (1_000, 100_000)
    subscriptions: int = 60  # requests in a round
    paused: int = 30_000  # followers of the broadcast that is paused


FULL = Scale()
QUICK = Scale(
    rounds=2, seconds=0.3, flood=1_500, devices=600, hanging=300, growth=((200, 1), (1_000, 1), (3_000, 1)),
    posting_rounds=1, posting_pushes=2_000, posts=60, messages=(1_000, 20_000), pages=10, reactions=5, idle_seconds=3.0,
    followers=(1_000, 10_000), overtaken=5_000, alarms=20, subscribed=(1_000, 20_000), subscriptions=20, paused=10_000,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Stage:
    """The running servers, and a folder that is removed with them."""

    scale: Scale
    folder: Path
    redis_url: str
    postgresql_url: str
    service: PushService
    keys: VapidKeys

    def new_folder(self, name: str) -> Path:
        """Return a new empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder))


@contextmanager
def prepared(scale: Scale) -> Iterator[Stage]:
    """Start all servers, and stop them and remove their files at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="feedback-push-bench-")))
        folder.chmod(0o755)  # PostgreSQL runs as another user if we are root
        (folder / "postgresql").mkdir()
        yield Stage(
            scale=scale,
            folder=folder,
            redis_url=stack.enter_context(servers.redis_server(folder)),
            postgresql_url=stack.enter_context(servers.postgresql(folder / "postgresql")),
            service=stack.enter_context(push_service.running(folder)),
            keys=vapid.generate(),
        )


def missing() -> list[str]:
    """Return the names of required programs that are not installed."""
    found = {
        "redis-server": shutil.which("redis-server") or shutil.which("valkey-server"),
        "postgresql": shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None),
    }
    return [name for name, path in found.items() if not path]
