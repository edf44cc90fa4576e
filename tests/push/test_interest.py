"""The interest list: sockets are heard while they are wanted, whatever became of them in a pause."""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from feedback_push.push.interest import InterestList

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def interest() -> Iterator[InterestList]:
    with closing(InterestList()) as made:
        yield made


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_what_is_wanted_is_told(interest: InterestList, pair: Pair) -> None:
    ours, theirs = pair
    interest.set(ours.fileno(), EVENT_READ)
    assert list(interest.ready(0)) == []
    theirs.send(b"x")
    assert list(interest.ready(None)) == [(ours.fileno(), EVENT_READ)]
    interest.set(ours.fileno(), EVENT_READ | EVENT_WRITE)
    assert list(interest.ready(None)) == [(ours.fileno(), EVENT_READ | EVENT_WRITE)]
    interest.set(ours.fileno(), EVENT_WRITE)
    assert list(interest.ready(None)) == [(ours.fileno(), EVENT_WRITE)]


def test_after_a_pause_it_is_told_again(interest: InterestList, pair: Pair) -> None:
    ours, theirs = pair
    for _ in range(2):
        interest.set(ours.fileno(), EVENT_READ)
        theirs.send(b"x")
        assert list(interest.ready(None)) == [(ours.fileno(), EVENT_READ)]
        ours.recv(1)
        interest.set(ours.fileno(), 0)


def test_what_is_not_wanted_is_told_to_nobody_and_wakes_nobody_twice(interest: InterestList, pair: Pair) -> None:
    ours, theirs = pair
    interest.set(ours.fileno(), EVENT_READ)
    interest.set(ours.fileno(), 0)
    theirs.close()
    assert list(interest.ready(None)) == []
    began = time.monotonic()
    assert list(interest.ready(0.1)) == []
    assert time.monotonic() - began >= 0.09
    interest.set(ours.fileno(), EVENT_READ)
    assert list(interest.ready(None)) == [(ours.fileno(), EVENT_READ)]


@pytest.mark.parametrize("meanwhile", [0, EVENT_READ])
def test_another_socket_of_the_same_number_is_heard(interest: InterestList, pair: Pair, meanwhile: int) -> None:
    first, other = socket.socketpair()
    number = first.fileno()
    interest.set(number, EVENT_READ)
    interest.set(number, meanwhile)
    first.close()
    ours, theirs = pair
    os.dup2(ours.fileno(), number)
    with other, socket.socket(fileno=number):
        interest.set(number, EVENT_READ)
        theirs.send(b"x")
        assert list(interest.ready(1)) == [(number, EVENT_READ)]
