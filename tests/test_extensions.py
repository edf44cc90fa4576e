"""extensions.py: configure the shared extensions."""

import subprocess
import sys

from tests.servers import CHECKOUT

PROGRAM = """
import sys
from limits.storage import RedisStorage
from feedback_push import extensions
RedisStorage("redis://127.0.0.1")
assert "redis" in sys.modules
assert "valkey" not in sys.modules
"""


def test_the_limits_load_one_client_library() -> None:
    subprocess.run([sys.executable, "-c", PROGRAM], cwd=CHECKOUT, check=True, timeout=60)
