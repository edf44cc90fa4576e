"""RFC 8291: the example of its appendix A, and decryption of our pushes as the standard describes."""

import http_ece
from cryptography.hazmat.primitives.asymmetric import ec

from tests.conftest import KEYS
from tests.doubles import base64url
from tests.doubles.push_service import PushService
from tests.webpush.sending import PAYLOAD, new_gateway, push_to, send

PLAINTEXT = "When I grow up, I want to be a watermelon"
SENDER_PRIVATE = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
RECEIVER_PRIVATE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
RECEIVER_PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
SECRET = "BTBZMqHH6r4Tts7J_aSIgg"
MESSAGE = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def _private(key: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(base64url.decode(key)), ec.SECP256R1())


def _read(body: bytes) -> bytes:
    plaintext: bytes = http_ece.decrypt(
        body, private_key=_private(RECEIVER_PRIVATE), auth_secret=base64url.decode(SECRET)
    )
    return plaintext


def test_the_standards_own_message_is_read() -> None:
    assert _read(base64url.decode(MESSAGE)).decode() == PLAINTEXT


def test_the_standards_keys_and_salt_give_the_same_bytes() -> None:
    body = http_ece.encrypt(
        PLAINTEXT.encode(),
        salt=base64url.decode(SALT),
        private_key=_private(SENDER_PRIVATE),
        dh=base64url.decode(RECEIVER_PUBLIC),
        auth_secret=base64url.decode(SECRET),
    )
    assert base64url.encode(body) == MESSAGE


def test_the_standards_receiver_reads_what_the_gateway_sends(service: PushService) -> None:
    for payload in (PAYLOAD, PLAINTEXT, "x", "Grüße, \N{WAVING HAND SIGN}", "y" * 3000):
        push = push_to(service.new_device(KEYS.public_key), p256dh=RECEIVER_PUBLIC, auth=SECRET, payload=payload)
        [result] = send(new_gateway(), push)
        assert result.status == 201
        body = service.requests[-1].body
        assert _read(body).decode() == payload
        assert body[16:21] == base64url.decode(MESSAGE)[16:21]  # a record size of 4096, a key of 65 bytes


def test_no_two_messages_share_a_salt_or_a_key(service: PushService) -> None:
    device = service.new_device(KEYS.public_key)
    send(new_gateway(), *[push_to(device)] * 20)
    assert len({push.body[:16] for push in device.pushes}) == 20
    assert len({push.body[21:86] for push in device.pushes}) == 20
