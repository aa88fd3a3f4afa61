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
from typing import Any

from mtproto.crypto import ige256_decrypt, ige256_encrypt
from pyrogram import raw
from pyrogram.crypto import prime
from pyrogram.raw.core import TLObject

RSA_P = int(
    "ee792f47fbffc3216819712ef6694b05c1656f44e8db685cce8aa5002152a878"
    "8fa1f1386b0eb41605d499e5edf9a6bcc7e965a2df847d6557956f8e496b3052"
    "16c952048c1d0288fa4ed695e5abc3ac3426d3d923bebe7eda317feb9b762d69"
    "dff70d1941ffb70f634591db3b02b8d92b46bc92564616c3f907f80bed4bee57",
    16,
)
RSA_Q = int(
    "c85ba8e556b640945eb3c75190897ebac1d70c4cd5a252abaaea33bc8145b9f7"
    "1d3d80e927e8de6a7ff1cfd3d09ed18ba8116ccc0ed3bbf9a5fdad9a26e8b307"
    "756a3d237e3ba8c885f6f5f6ed463a3898b8a1abc1eb6d0ce22acd20fac696aa"
    "a9365a06f28437fbc8abe1464a868288b1408f7ef6f7a70d844c475f7cf8e2c7",
    16,
)
RSA_MODULUS = RSA_P * RSA_Q
RSA_EXPONENT = 65537
RSA_SECRET = pow(RSA_EXPONENT, -1, (RSA_P - 1) * (RSA_Q - 1))
RSA_Q_INVERSE = pow(RSA_Q, -1, RSA_P)
RSA_FINGERPRINT = 0x1122334455667788

SMALL_P, SMALL_Q = 60013, 60029  # the client factorises their product; small ones take no time

DH_GENERATOR = 3
DH_PRIME = prime.CURRENT_DH_PRIME
DH_SECRET = int.from_bytes(sha1(b"loopback").digest() * 2, "big")
DH_PUBLIC = pow(DH_GENERATOR, DH_SECRET, DH_PRIME)


def rsa_decrypt(encrypted: int) -> int:
    """By the remainders of both primes (RFC 8017, 5.1.2): a quarter of the work, once a connection."""
    of_p, of_q = (pow(encrypted, RSA_SECRET % (prime_ - 1), prime_) for prime_ in (RSA_P, RSA_Q))
    return of_q + RSA_Q * ((of_p - of_q) * RSA_Q_INVERSE % RSA_P)


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
