"""Clients that hold connections, and one that asks for much."""

from tests.drills import attacks, memory
from tests.drills.harness import drill, report
from tests.site import Site

_MOST_MEMORY = 20  # MB


def test_clients_that_do_not_read_their_answers(site: Site) -> None:
    drill("8 clients that do not read", site, attacks.readers, 8)
    drill("8 clients that do not read 150 answers each", site, attacks.readers, 8, 150)


def test_clients_that_send_nothing(site: Site) -> None:
    drill("200 idle sockets", site, attacks.idle_sockets, 200)
    drill("1,500 idle sockets of one address", site, attacks.idle_sockets, 1500, "127.0.0.9")


def test_clients_that_send_slowly(site: Site) -> None:
    drill("16 slow senders", site, attacks.slow_senders, 16)
    drill("16 slow heads", site, attacks.slow_heads, 16)


def test_thousands_of_requests_in_a_row(site: Site) -> None:
    with memory.watched(site) as used:
        drill("5,000 requests in a row", site, attacks.requests_in_a_row, 5000, seconds=12)
    report("5,000 requests in a row", f"{used.now:.0f} MB more memory")
    assert used.now < _MOST_MEMORY
