"""Read VAPID keys in the formats of other programs: PEM, DER or raw in base64, or the path of a file with one of these.

No error repeats any part of a value.
"""

import base64
import errno
import re
from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)
from environs import ValidationError

from feedback_push import secret_files

_LARGEST = 16 * 1024  # bytes; a PEM file of a P-256 key has 250
_PEM = re.compile(rb"-----BEGIN (?:EC )?(PRIVATE|PUBLIC) KEY-----([A-Za-z0-9+/=\s]+)-----END (?:EC )?\1 KEY-----")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]+")
_FORMS = "bytes in base64url, PEM, DER in base64, or the path of a file with one of these"


def private_key(value: str) -> str:
    """Return a private key as 32 bytes in base64url without padding."""
    message = f"not a P-256 private key without a password: 32 {_FORMS}."
    return _read(value, _private_scalar, message, secret=True)


def public_key(value: str) -> str:
    """Return a public key as an uncompressed point of 65 bytes in base64url without padding."""
    return _read(value, _public_point, f"not a P-256 public key: 65 {_FORMS}.", secret=False)


def _read(value: str, parse: Callable[[bytes], bytes], message: str, *, secret: bool) -> str:
    # Try the key itself first: a path without a dot can also be valid base64.
    key = _parsed(value.encode(errors="replace"), parse) or _parsed(_file(value, secret=secret), parse)
    if key is None:
        raise ValidationError(message)
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def _parsed(content: bytes, parse: Callable[[bytes], bytes]) -> bytes | None:
    for form in (_from_text, _from_file_of_der):
        try:
            return parse(form(content))
        except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: the key is encrypted with a password
            continue
    return None


def _from_text(content: bytes) -> bytes:
    """Decode PEM, or base64 in either alphabet, with or without padding."""
    content = content.replace(rb"\n", b"\n")  # a PEM file on one line of an environment file
    match = _PEM.search(content)
    text = b"".join((match[2] if match else content).split()).rstrip(b"=")
    if not _BASE64.fullmatch(text):
        raise ValueError("not base64")
    return base64.urlsafe_b64decode(text.replace(b"+", b"-").replace(b"/", b"_") + b"=" * (-len(text) % 4))


def _from_file_of_der(content: bytes) -> bytes:
    if len(content) in (32, 65):
        raise ValueError("a text is not a key")
    return content


def _file(value: str, *, secret: bool) -> bytes:
    """Return the beginning of the file at this path, or empty bytes if there is no such file."""
    path = Path(value.strip()).absolute()
    try:
        if not path.is_file():  # reading a pipe could block
            return b""
        if secret and secret_files.is_open_to_others(path):
            raise ValidationError("others can read the file that it names. Run chmod 600 on that file.")
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except ValueError:  # not a path at all
        return b""
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return b""
        raise ValidationError(f"the file that it names cannot be read ({error.strerror}).") from None


def _private_scalar(content: bytes) -> bytes:
    if len(content) == 32:
        key = ec.derive_private_key(int.from_bytes(content, "big"), ec.SECP256R1())
    else:
        loaded = load_der_private_key(content, None)  # PKCS 8 or SEC 1
        if not isinstance(loaded, ec.EllipticCurvePrivateKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise ValueError("another kind of key")
        key = loaded
    return key.private_numbers().private_value.to_bytes(32, "big")


def _public_point(content: bytes) -> bytes:
    if len(content) == 65:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), content)
    else:
        loaded = load_der_public_key(content)
        if not isinstance(loaded, ec.EllipticCurvePublicKey) or not isinstance(loaded.curve, ec.SECP256R1):
            raise ValueError("another kind of key")
        key = loaded
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
