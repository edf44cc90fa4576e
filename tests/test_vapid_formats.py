"""vapid_formats.py: read key pairs in the formats of other programs."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from py_vapid import Vapid

from feedback_push import vapid_formats, vapid_validators
from tests.conftest import KEYS
from tests.doubles import base64url
from tests.refusals import is_refused

KEY = ec.derive_private_key(int.from_bytes(base64url.decode(KEYS.private_key), "big"), ec.SECP256R1())
EC_PARAMETERS = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"  # as openssl writes


def private(encoding: Encoding, form: PrivateFormat = PrivateFormat.PKCS8, password: bytes = b"") -> bytes:
    return KEY.private_bytes(encoding, form, BestAvailableEncryption(password) if password else NoEncryption())


def spelled(content: bytes) -> Iterator[str]:
    """Yield a PEM text, or binary content in base64, in the ways that environment files hold them."""
    if content.startswith(b"-----"):
        text = content.decode()
        yield from (text, text.replace("\n", "\\n"), text.replace("\n", " "), text.replace("\n", "\r\n"))
    else:
        for text in (base64.b64encode(content).decode(), base64.urlsafe_b64encode(content).decode()):
            yield from (text, text.rstrip("="), f" {text[:20]}\n{text[20:]}\n")


PRIVATE = {
    "raw": base64url.decode(KEYS.private_key),
    "PKCS 8 DER": private(Encoding.DER),
    "SEC 1 DER": private(Encoding.DER, PrivateFormat.TraditionalOpenSSL),
    "PKCS 8 PEM": private(Encoding.PEM),
    "SEC 1 PEM": private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
    "openssl ecparam -genkey": EC_PARAMETERS + private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL),
}
PUBLIC = {
    "raw": base64url.decode(KEYS.public_key),
    "DER": KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
    "PEM": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
}


def test_a_key_is_the_same_in_every_form_and_in_a_file(tmp_path: Path, private_files: None) -> None:
    path = tmp_path / "private_key.pem"
    for name, content in PRIVATE.items():
        path.write_bytes(base64.b64encode(content) if name == "raw" else content)
        for value in [*spelled(content), str(path), os.path.relpath(path)]:
            assert vapid_validators.vapid_private_key(value, "") == KEYS.private_key
    for name, content in PUBLIC.items():
        path.write_bytes(base64.b64encode(content) if name == "raw" else content)
        for value in [*spelled(content), str(path)]:
            assert vapid_validators.vapid_public_key(value, KEYS.private_key) == KEYS.public_key


def test_the_files_that_pywebpushs_own_tool_writes_are_usable(tmp_path: Path, private_files: None) -> None:
    pair = Vapid()
    pair.generate_keys()
    pair.save_key(str(tmp_path / "private_key.pem"))
    pair.save_public_key(str(tmp_path / "public_key.pem"))
    kept = vapid_validators.vapid_private_key(str(tmp_path / "private_key.pem"), "")
    assert Vapid.from_raw(kept.encode()).private_key.private_numbers() == pair.private_key.private_numbers()
    assert vapid_validators.vapid_public_key(str(tmp_path / "public_key.pem"), kept) == vapid_validators.public_key_of(
        kept
    )


def test_an_invalid_key_is_refused_without_repeating_it(tmp_path: Path, private_files: None) -> None:
    other_curve = ec.generate_private_key(ec.SECP384R1())
    other_kind = ed25519.Ed25519PrivateKey.generate()
    pkcs8 = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) for key in (other_curve, other_kind)]
    contents = [
        *pkcs8,
        private(Encoding.PEM, PrivateFormat.PKCS8, b"hunter2"),
        private(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, b"hunter2"),
        base64.b64encode(private(Encoding.DER, PrivateFormat.PKCS8, b"hunter2")),
        PUBLIC["PEM"],
        b"a private key for the tests only",
        b"x" * 100_000,
        b"",
    ]
    path = tmp_path / "key"
    for content in contents:
        path.write_bytes(content)
        for value in (content.decode(), str(path)):
            words = is_refused(vapid_formats.private_key, value)
            assert words.startswith("not a P-256 private key")
            assert not value or value[:12] not in words
    for value in ("/none/of/these.pem", "with\0nul", str(tmp_path), "\ud800", PRIVATE["PKCS 8 PEM"].decode()):
        assert is_refused(vapid_formats.public_key, value).startswith("not a P-256 public key")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    is_refused(vapid_formats.private_key, str(tmp_path / "pipe"))


def test_a_file_that_others_can_read_is_refused_like_every_secret(tmp_path: Path) -> None:
    outside = list(tmp_path.parents)[:3]
    before = [folder.stat().st_mode for folder in outside]
    for folder in outside:
        folder.chmod(0o755)
    path = tmp_path / "private_key.pem"
    path.write_bytes(PRIVATE["PKCS 8 PEM"])
    for around, mode in ((0o755, 0o600), (0o700, 0o644)):
        tmp_path.chmod(around)
        path.chmod(mode)
        assert vapid_formats.private_key(str(path)) == KEYS.private_key
    tmp_path.chmod(0o755)
    words = is_refused(vapid_formats.private_key, str(path))
    assert "others can read" in words
    assert "private_key.pem" not in words
    for folder, mode in zip(outside, before, strict=True):
        folder.chmod(mode)
