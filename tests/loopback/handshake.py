"""How a client and the server come to share an auth key.

https://core.telegram.org/mtproto/auth_key, https://core.telegram.org/mtproto/samples-auth_key
(the classic RSA padding, which is what both libraries send).

Everything that costs time with real numbers is fixed: the RSA primes, the two factors
of `pq`, the server's half of the Diffie-Hellman exchange. Safe only because nothing
secret ever passes here.
"""

import os
import time
from collections.abc import Callable
from hashlib import sha1
from io import BytesIO
from math import prod
from typing import Any

from mtproto.crypto import ige256_decrypt, ige256_encrypt
from pyrogram import raw
from pyrogram.crypto import prime
from pyrogram.raw.core import TLObject

# Sixteen instead of two, for what is short is raised to a power soon (RFC 8017, 3.2).
RSA_PRIMES = (
    0xFB5B5BEECED0BAA97B88275562C08DCD,
    0xFA7656DE4D31F38587ADDB79731829E1,
    0xFAD8F272B7CB49A7A31CE91419FCFBC9,
    0xF04A7DE99D1E26FC639EE2E849BB7C3D,
    0xFCB8A219B08B4FED73D7710451986E6D,
    0xF2125C734694E2E9AA929F5E43AE874B,
    0xF4C46456CF50A78A4FDB2A3C9A73B945,
    0xFDD366A4BBEE2290CABBBE5FB1260D53,
    0xFE595A8F9F7788583EC32FCCF4E271AF,
    0xFFFD9CF1570E8E5C26FC60FDD5D8310B,
    0xF7BEEC900150B913BF4CA6871EACC413,
    0xF4443740657A4C9409EB478F71AB7051,
    0xFC0764D92716DBA6C3D8FDA6BC561E17,
    0xFCAEB7033381B2602162A4FE942069A3,
    0xF815B937C0C6F4A3DB4C07550AED0E21,
    0xFDC2AF02F0FB009278332218E79ABA11,
)
RSA_MODULUS = prod(RSA_PRIMES)
RSA_EXPONENT = 65537
RSA_SECRETS = tuple(pow(RSA_EXPONENT, -1, each - 1) for each in RSA_PRIMES)
# What is 1 by one of the primes and 0 by all others.
RSA_UNITS = tuple((rest := RSA_MODULUS // each) * pow(rest, -1, each) for each in RSA_PRIMES)
RSA_FINGERPRINT = 0x1122334455667788

SMALL_P, SMALL_Q = 60013, 60029  # the client factorises their product; small ones take no time

DH_GENERATOR = 3
DH_PRIME = prime.CURRENT_DH_PRIME
DH_SECRET = 65537
DH_PUBLIC = pow(DH_GENERATOR, DH_SECRET, DH_PRIME)


def rsa_decrypt(encrypted: int) -> int:
    """By the remainders of all primes, which takes a tenth of the time, once a connection."""
    parts = zip(RSA_PRIMES, RSA_SECRETS, RSA_UNITS, strict=True)
    return sum(pow(encrypted, secret, each) * unit for each, secret, unit in parts) % RSA_MODULUS


class Handshake:
    """One client's way to an auth key: `answer` each plain query until `auth_key` is set."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self.auth_key: bytes | None = None
        self._nonce = 0
        self._server_nonce = int.from_bytes(os.urandom(16), "little", signed=True)
        self._new_nonce = b""

    def answer(self, query: TLObject) -> TLObject:
        if isinstance(query, (raw.functions.ReqPq, raw.functions.ReqPqMulti)):
            return self._offer_pq(query)
        if isinstance(query, raw.functions.ReqDHParams):
            return self._offer_dh(query)
        if isinstance(query, raw.functions.SetClientDHParams):
            return self._finish(query)
        raise ValueError(f"not part of a handshake: {query}")

    def _offer_pq(self, query: Any) -> TLObject:
        self._nonce = query.nonce
        return raw.types.ResPQ(
            **self._nonces(),
            pq=(SMALL_P * SMALL_Q).to_bytes(8, "big"),
            server_public_key_fingerprints=[RSA_FINGERPRINT],
        )

    def _offer_dh(self, query: Any) -> TLObject:
        padded = rsa_decrypt(int.from_bytes(query.encrypted_data, "big"))
        inner: Any = TLObject.read(BytesIO(padded.to_bytes(256, "big")[21:]))
        self._new_nonce = inner.new_nonce.to_bytes(32, "little", signed=True)
        answer = raw.types.ServerDHInnerData(
            **self._nonces(),
            g=DH_GENERATOR,
            dh_prime=DH_PRIME.to_bytes(256, "big"),
            g_a=DH_PUBLIC.to_bytes(256, "big"),
            server_time=int(self._now()),
        ).write()
        hashed = sha1(answer).digest() + answer
        hashed += bytes(-len(hashed) % 16)
        return raw.types.ServerDHParamsOk(
            **self._nonces(), encrypted_answer=ige256_encrypt(hashed, *self._temporary_key())
        )

    def _finish(self, query: Any) -> TLObject:
        plain = ige256_decrypt(query.encrypted_data, *self._temporary_key())
        inner: Any = TLObject.read(BytesIO(plain[20:]))
        shared = pow(int.from_bytes(inner.g_b, "big"), DH_SECRET, DH_PRIME)
        self.auth_key = shared.to_bytes(256, "big")
        digest = sha1(self._new_nonce + b"\x01" + sha1(self.auth_key).digest()[:8]).digest()
        return raw.types.DhGenOk(
            **self._nonces(),
            new_nonce_hash1=int.from_bytes(digest[-16:], "little", signed=True),
        )

    def _nonces(self) -> dict[str, int]:
        return {"nonce": self._nonce, "server_nonce": self._server_nonce}

    def _temporary_key(self) -> tuple[bytes, bytes]:
        """The AES key and vector of the exchange itself, made of both nonces."""
        new, server = self._new_nonce, self._server_nonce.to_bytes(16, "little", signed=True)
        new_server, server_new = sha1(new + server).digest(), sha1(server + new).digest()
        key = new_server + server_new[:12]
        vector = server_new[12:] + sha1(new + new).digest() + new[:4]
        return key, vector
