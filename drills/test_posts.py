"""Large posts without a token, and what they cost the visitors and the machine."""

import pytest

from drills import attacks, memory
from drills.harness import drill, report
from tests.site import Site

_MEGABYTE = 1024 * 1024
# With each body, the MB that the web server may take above what it has when idle. The last is the longest message that
# is allowed, one at a time: the standard library takes 75 times its size to decode it.
BODIES = {
    "3 MB of text": (b"content=" + b"x" * (3 * _MEGABYTE - 8), 150),
    "3 MB of quotes": (b"content=" + b'"' * (3 * _MEGABYTE - 8), 150),
    "500,000 fields": (b"a=b&" * 500_000, 150),
    "200,000 characters of 12 bytes": (b"content=" + b"%F0%9F%99%82" * 200_000, 400),
}


@pytest.mark.parametrize("name", BODIES)
def test_large_posts_without_a_token(site: Site, name: str) -> None:
    body, allowed = BODIES[name]
    with memory.watched(site) as used:
        drill(f"8 posters of {name}", site, attacks.large_posts, 8, body)
    report(f"8 posters of {name}", f"{used.most:.0f} MB more memory at most, of which {used.now:.0f} MB stayed")
    assert used.most < allowed
