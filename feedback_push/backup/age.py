"""Encrypt a stream with a passphrase as an age file (https://age-encryption.org/v1), in chunks of 64 KiB.

`age --decrypt` reads such a file, too, so a backup can be opened without this program.
"""

import base64
import re
import secrets
from typing import BinaryIO

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from feedback_push.backup.errors import BackupError

VERSION_LINE = b"age-encryption.org/v1\n"
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"
_WORK_FACTOR = 17  # 128 MiB of memory, and the minimum that OWASP recommends
_LARGEST_WORK_FACTOR = 18  # the default of age
_CHUNK = 64 * 1024
_TAG = 16  # bytes
_LONGEST_LINE = 100
_STANZA = re.compile(rb"-> scrypt ([A-Za-z0-9+/]{22}) ([1-9][0-9]?)\n([A-Za-z0-9+/]{43})\n--- ([A-Za-z0-9+/]{43})\n")
_DAMAGED = "The backup is damaged or incomplete: it cannot be decrypted. Use another copy of it."


class Writer:
    """Encrypt what is written to it; `close` writes the end, without which the file is incomplete."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        file_key, salt, nonce = secrets.token_bytes(16), secrets.token_bytes(16), secrets.token_bytes(16)
        body = ChaCha20Poly1305(_wrap_key(passphrase, salt, _WORK_FACTOR)).encrypt(bytes(12), file_key, None)
        header = VERSION_LINE + b"-> scrypt %s %d\n%s\n---" % (_base64(salt), _WORK_FACTOR, _base64(body))
        file.write(header + b" " + _base64(_mac(file_key, header)) + b"\n" + nonce)
        self._file = file
        self._cipher = _payload_cipher(file_key, nonce)
        self._waiting = bytearray()
        self._counter = 0

    def write(self, data: bytes) -> int:
        """Encrypt these bytes as soon as they fill a chunk."""
        self._waiting += data
        while len(self._waiting) > _CHUNK:  # the last chunk waits for `close`, because it is marked
            self._write_chunk(bytes(self._waiting[:_CHUNK]), last=False)
            del self._waiting[:_CHUNK]
        return len(data)

    def close(self) -> None:
        """Write the last chunk; the file below stays open."""
        self._write_chunk(bytes(self._waiting), last=True)

    def _write_chunk(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._counter, last=last), chunk, None))
        self._counter += 1


class Reader:
    """Decrypt an age file while it is read; raise BackupError for a wrong passphrase and for every other fault."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        header = b"".join(file.readline(_LONGEST_LINE) for _ in range(4))
        found = _STANZA.fullmatch(header.removeprefix(VERSION_LINE))
        if not found or not header.startswith(VERSION_LINE) or int(found[2]) > _LARGEST_WORK_FACTOR:
            raise BackupError("The file is not encrypted with a passphrase, or its beginning is damaged.")
        key = _wrap_key(passphrase, _bytes(found[1]), int(found[2]))
        try:
            file_key = ChaCha20Poly1305(key).decrypt(bytes(12), _bytes(found[3]), None)
        except InvalidTag:
            raise BackupError("The passphrase is wrong, or the beginning of the file is damaged.") from None
        _verify(file_key, header[: header.rindex(b" ")], _bytes(found[4]))
        self._cipher = _payload_cipher(file_key, file.read(16))
        self._file = file
        self._ahead = file.read(_CHUNK + _TAG)
        self._decrypted = b""
        self._counter = 0
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end of a complete file."""
        while not self._decrypted and not self._ended:
            self._read_chunk()
        part, self._decrypted = self._decrypted[:size], self._decrypted[size:]
        return part

    def _read_chunk(self) -> None:
        chunk, self._ahead = self._ahead, self._file.read(_CHUNK + _TAG)
        self._ended = not self._ahead
        try:
            self._decrypted = self._cipher.decrypt(_nonce(self._counter, last=self._ended), chunk, None)
        except InvalidTag:
            raise BackupError(_DAMAGED) from None
        if self._ended and self._counter and not self._decrypted:
            raise BackupError(_DAMAGED)  # only an empty file ends with an empty chunk
        self._counter += 1


def is_encrypted(file: BinaryIO) -> bool:
    """Return whether the file begins like one of age, and go back to its beginning."""
    beginning = file.read(len(VERSION_LINE))
    file.seek(0)
    return beginning == VERSION_LINE


def _wrap_key(passphrase: str, salt: bytes, work_factor: int) -> bytes:
    return Scrypt(_SCRYPT_LABEL + salt, 32, 2**work_factor, 8, 1).derive(passphrase.encode())


def _payload_cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(HKDF(SHA256(), 32, nonce, b"payload").derive(file_key))


def _mac(file_key: bytes, header: bytes) -> bytes:
    return _hmac(file_key, header).finalize()


def _verify(file_key: bytes, header: bytes, mac: bytes) -> None:
    try:
        _hmac(file_key, header).verify(mac)
    except InvalidSignature:
        raise BackupError(_DAMAGED) from None


def _hmac(file_key: bytes, header: bytes) -> HMAC:
    mac = HMAC(HKDF(SHA256(), 32, None, b"header").derive(file_key), SHA256())
    mac.update(header)
    return mac


def _nonce(counter: int, *, last: bool) -> bytes:
    return counter.to_bytes(11, "big") + bytes([last])


def _base64(raw: bytes) -> bytes:
    return base64.b64encode(raw).rstrip(b"=")


def _bytes(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4))
