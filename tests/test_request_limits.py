"""request_limits.py: a request that is too large is refused before anything parses it."""

import tracemalloc
from unittest.mock import Mock
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedback_push import request_limits
from tests.visits import Visitor


def test_a_request_may_not_be_endless(client: Visitor) -> None:
    answer = client.send("/feedback/", content="x" * 5_000_000, submitter_name="Ada")
    assert answer.status_code == 413
    assert "Too long" in answer.text


def test_a_form_that_is_too_large_is_refused_before_it_is_taken_apart(
    client: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = client.read("/feedback/").fields["csrf_token"]
    form = {"content_type": "application/x-www-form-urlencoded", "headers": {"Referer": client.site}}
    monkeypatch.setattr(request_limits, "_decoded", Mock(side_effect=AssertionError("taken apart")))
    for body in ("a=b&" * 50, "&" * 3_000_000, "content=" + "x" * 3_000_000, "x" * 3_000_000):
        answer = client.post("/feedback/", data=body, **form)
        assert (answer.status_code, len(answer.text) < 10_000) == (413, True), body[:20]
    monkeypatch.undo()
    for address in ("/login", "/logout", "/push/subscribe", "/nowhere"):
        assert client.post(address, data="x" * 70_000, **form).status_code == 413
    part = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    multipart = {**form, "content_type": "multipart/form-data; boundary=x"}
    assert client.post("/feedback/", data=part * 51 + "--x--\r\n", **multipart).status_code == 413
    fields = "&".join(f"f{number}=" for number in range(46))
    sent = f"csrf_token={token}&submitter_name=Ada&content=Hello&{fields}"
    assert client.post("/feedback/", data=sent, **form).status_code == 303


@given(
    st.lists(
        st.sampled_from(["a", "ü", "+", "%", "%4", "%41", "%C3%BC", "%F0%9F%99%82", "%FF", "%C3", "=", "&", "🙂", " "]),
        max_size=30,
    ).map("".join),
    st.integers(min_value=3, max_value=9),
)
def test_a_form_is_read_as_the_library_reads_it(body: str, part: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(request_limits, "_DECODED_AT_ONCE", part)
        read = request_limits._decoded(body.encode())  # noqa: SLF001
    assert read == parse_qsl(body, keep_blank_values=True, errors="werkzeug.url_quote")
    assert request_limits._decoded(b"a=\xff") == []  # noqa: SLF001


def test_the_longest_message_takes_little_memory_to_read() -> None:
    body = b"content=" + b"%F0%9F%99%82" * 200_000
    tracemalloc.start()
    try:
        assert request_limits._decoded(body) == [("content", "🙂" * 200_000)]  # noqa: SLF001
        assert tracemalloc.get_traced_memory()[1] < 12 * len(body)
    finally:
        tracemalloc.stop()


def test_no_page_repeats_more_than_a_form_may_hold(client: Visitor) -> None:
    for name in ("content", "submitter_name", "submitter_email", "anything"):
        answer = client.post("/feedback/", data={name: '"' * 300_000})
        assert (answer.status_code, len(answer.text) < 10_000) == (413, True), name
    lines = client.send("/feedback/", content="\r\n" * 99_999 + "x", submitter_name="Ada")
    assert lines.status_code == 303


def test_one_large_form_is_read_at_a_time_and_others_must_wait(client: Visitor) -> None:
    limit = request_limits._large_forms  # noqa: SLF001
    leave = limit.enter()
    limit._patience = 0.01  # noqa: SLF001
    refused = client.send("/feedback/", content="x" * 100_000, submitter_name="Ada")
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "5")
    assert client.send("/feedback/", content="short", submitter_name="Ada").status_code == 303
    leave()
    limit._patience = 1.0  # noqa: SLF001
    for _ in range(2):
        assert client.send("/feedback/", content="x" * 100_000, submitter_name="Ada").status_code == 303


@pytest.mark.parametrize("address", ["/feedback/", "/login", "/logout"])
@pytest.mark.parametrize("file", ["", '; filename="x"'])
def test_a_part_of_a_form_without_a_name_is_left_out(client: Visitor, address: str, file: str) -> None:
    body = f"--x\r\nContent-Disposition: form-data{file}\r\n\r\nnameless\r\n--x--\r\n".encode()
    answer = client.post(address, data=body, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 400
