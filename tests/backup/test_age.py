"""Encryption with a passphrase: the age format, in both directions, and every fault in it."""

import base64
import io
import secrets

import pytest

from feedback_push.backup import age
from feedback_push.backup.errors import BackupError

PASSPHRASE = "six words, and Größe"
# Written by age 1.1.1 with `age --passphrase`.
WRITTEN_BY_AGE = """
YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCAwaDE0M3VCUzZaWXJWejRlaDJLNkh3IDE4CkR0SUZwajBCaXJGN0IwSG1TMUtTZEljZW5XakxDVk56
ZzdnOWNDaC9lNVUKLS0tIDk5aytGS21BWTZPR091Mlk1dk9xYjVjWVFrdkkyTkJPaDM0ZVFLYmtucXMKIMUq7dlWeWVo3EVtN+70vykBU8TRBTBdSZxvCmvL
RBC8w1DMRtnlnxoKhGA=
"""


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(age, "_WORK_FACTOR", 10)


def encrypted(content: bytes) -> bytes:
    file = io.BytesIO()
    writer = age.Writer(file, PASSPHRASE)
    for start in range(0, len(content), 10_007):
        writer.write(content[start : start + 10_007])
    writer.close()
    return file.getvalue()


def decrypted(content: bytes, passphrase: str = PASSPHRASE) -> bytes:
    reader = age.Reader(io.BytesIO(content), passphrase)
    parts = []
    while part := reader.read(50_000):
        parts.append(part)
    return b"".join(parts)


def test_a_file_of_age_itself_is_read() -> None:
    assert decrypted(base64.b64decode(WRITTEN_BY_AGE), "a pass phrase") == b"made by age\n"


def test_what_was_encrypted_is_decrypted_whatever_its_length() -> None:
    for length in (0, 1, 65535, 65536, 65537, 131072, 200_000):
        content = secrets.token_bytes(length)
        assert decrypted(encrypted(content)) == content
    assert encrypted(b"x") != encrypted(b"x")


def test_every_fault_is_found() -> None:
    content = secrets.token_bytes(150_000)
    whole = encrypted(content)
    start = whole.index(b"--- ") + 50  # of the payload
    shortened = [whole[:length] for length in (0, 10, 60, start, start + 16, start + 65568, len(whole) - 1)]
    longer = whole + b"x"
    flipped = [_flipped(whole, at) for at in (5, 30, 80, start - 10, start + 5, start + 100, len(whole) - 1)]
    chunk = 65536 + 16
    payload = len(whole) - 2 * chunk - (150_000 - 2 * 65536 + 16)
    swapped = whole[:payload] + whole[payload + chunk : payload + 2 * chunk] + whole[payload : payload + chunk]
    for damaged in (*shortened, longer, *flipped, swapped + whole[payload + 2 * chunk :]):
        with pytest.raises(BackupError):
            decrypted(damaged)
    with pytest.raises(BackupError, match="passphrase is wrong"):
        decrypted(whole, "another passphrase")


def test_an_empty_chunk_ends_only_an_empty_file() -> None:
    file = io.BytesIO()
    writer = age.Writer(file, PASSPHRASE)
    writer._write_chunk(bytes(65536), last=False)  # noqa: SLF001 - which the writer itself never does
    writer._write_chunk(b"", last=True)  # noqa: SLF001
    with pytest.raises(BackupError, match="damaged"):
        decrypted(file.getvalue())


def test_a_file_that_would_take_too_much_memory_is_refused() -> None:
    with pytest.raises(BackupError, match="beginning is damaged"):
        decrypted(encrypted(b"x").replace(b" 10\n", b" 30\n"))


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]
