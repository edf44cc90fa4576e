"""Validate the VAPID settings (RFC 8292): a key pair, and a contact that push services accept."""

import base64
import re
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from environs import ValidationError

from feedback_push import vapid_formats
from feedback_push.installation import COMMAND
from feedback_push.setting_validators import ascii_host, is_address, is_loopback

# Apple answers 403 BadJwtToken for a contact under one of these.
_UNREAL_TLDS = {"local", "localhost", "invalid", "example", "test", "internal", "lan"}


def vapid_private_key(value: str, given_public: str) -> str:
    """Return the private key, in any supported format, as 32 bytes in base64url; an empty value turns push off."""
    if not value:
        if given_public:
            raise ValidationError("is required when VAPID_PUBLIC_KEY is set.")
        return ""
    return vapid_formats.private_key(value)


def vapid_public_key(value: str, private_key: str | None) -> str:
    """Return the public key, which must belong to the private key; derive it if it is not given."""
    if not private_key:
        return ""
    public_key = public_key_of(private_key)
    if value and vapid_formats.public_key(value) != public_key:
        raise ValidationError(f"does not match VAPID_PRIVATE_KEY. `{COMMAND} vapid generate` creates a pair.")
    return public_key


def vapid_subject(value: str, site: str | None, push_enabled: bool) -> str:
    """Return a contact that push services accept: `mailto:` and an address, or `https:` and a host, in ASCII."""
    value = _with_ascii_host(value.removesuffix("/"))
    problem = _contact_problem(value, site)
    if problem and push_enabled:
        raise ValidationError(problem)
    return "" if problem else value  # while push is off, keep it for `vapid rotate`


def default_subject(site: str | None) -> str:
    """Return the site's own URL if push services accept it, else the local postmaster's address."""
    host = urlsplit(site).hostname or "" if site and site.startswith("https:") else ""
    return f"https://{host}" if _looks_real(host) else "mailto:postmaster@localhost"


def public_key_of(private_key: str) -> str:
    """Return the public key (an uncompressed P-256 point, in base64url) of a base64url private key.

    Raise ValidationError if the private key is invalid.
    """
    try:
        raw = base64.urlsafe_b64decode(private_key + "=" * (-len(private_key) % 4))
        # Zero is not a private key, nor is a number of another length.
        key = ec.derive_private_key(int.from_bytes(raw if len(raw) == 32 else b"", "big"), ec.SECP256R1())
    except ValueError:
        raise ValidationError("must be a P-256 private key of 32 bytes in base64url.") from None
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _contact_problem(subject: str, site: str | None) -> str | None:
    domain = _contact_domain(subject)
    if not domain:
        return "must be `mailto:` and an e-mail address, or `https://` and a host (no port, no path)."
    if site and not is_loopback(urlsplit(site).hostname or "") and not _looks_real(domain):
        return (
            "Apple refuses every push with this contact. Use mailto: and your own e-mail address, or your https: site."
        )
    return None


def _with_ascii_host(subject: str) -> str:
    scheme, mark, host = subject.rpartition("@" if subject.startswith("mailto:") else "//")
    try:
        return subject if host.isascii() else f"{scheme}{mark}{ascii_host(host)}"
    except ValueError:
        return subject  # the caller refuses it unchanged


def _contact_domain(subject: str) -> str:
    if match := re.fullmatch(r"mailto:[^\s@]+@([!-.0-?A-~]+)", subject):
        return match[1]
    # py_vapid accepts an https contact only if it is just a host name.
    match = re.fullmatch(r"https://([\w-]+(\.[\w-]+)+)", subject, re.ASCII)
    return match[1] if match else ""


def _looks_real(domain: str) -> bool:
    labels = domain.lower().rstrip(".").split(".")
    return len(labels) > 1 and labels[-1] not in _UNREAL_TLDS and not is_address(domain)
