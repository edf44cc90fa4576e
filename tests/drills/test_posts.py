"""Large posts without a token: the visitors' time and the server's memory."""

import pytest

from tests.drills import attacks, memory
from tests.drills.harness import drill, report
from tests.site import Site

_MEGABYTE = 1024 * 1024
_MOST_MEMORY = 150  # MB above the idle web server
BODIES = {
    "3 MB of text": b"content=" + b"x" * (3 * _MEGABYTE - 8),
    "3 MB of quotes": b"content=" + b'"' * (3 * _MEGABYTE - 8),
    "500,000 fields": b"a=b&" * 500_000,
    "200,000 characters of 12 bytes": b"content=" + b"%F0%9F%99%82" * 200_000,  # the longest message that is taken
}


@pytest.mark.parametrize("name", BODIES)
def test_large_posts_without_a_token(site: Site, name: str) -> None:
    with memory.watched(site) as used:
        drill(f"8 posters of {name}", site, attacks.large_posts, 8, BODIES[name])
    report(f"8 posters of {name}", f"{used.most:.0f} MB more memory at most, of which {used.now:.0f} MB stayed")
    assert used.most < _MOST_MEMORY
