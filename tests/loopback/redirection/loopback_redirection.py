"""Points Pyrogram and kurigram at a loopback server. Imports nothing of the project.

Two things are replaced: where a TCP connection goes, whatever data centre was meant (so
that nothing can reach the real Telegram), and which RSA key the server is believed by.
Both libraries have `TCP.connect(address)` and `rsa.server_public_keys`.
"""

import functools
import importlib

TCP_MODULE = "pyrogram.connection.transport.tcp.tcp"
RSA_MODULE = "pyrogram.crypto.rsa"


def redirect_tcp(module, address):
    """Returns a function that undoes it."""
    original = module.TCP.connect

    @functools.wraps(original)
    async def connect(self, meant):
        host, port = address
        # A socket for IPv6 reaches an IPv4 host by a name of its own.
        return await original(self, (f"::ffff:{host}" if ":" in meant[0] else host, port))

    module.TCP.connect = connect
    return functools.partial(setattr, module.TCP, "connect", original)


def trust_key(module, fingerprint, modulus, exponent):
    """Returns a function that undoes it."""
    keys = module.server_public_keys
    before = dict(keys)
    kind = type(next(iter(keys.values())))
    keys.clear()
    keys[fingerprint] = kind(modulus, exponent)

    def undo():
        keys.clear()
        keys.update(before)

    return undo


def redirect(address, key):
    """For a process that has imported the library. Returns the functions that undo it."""
    tcp, rsa = importlib.import_module(TCP_MODULE), importlib.import_module(RSA_MODULE)
    return [redirect_tcp(tcp, address), trust_key(rsa, *key)]


def told(environment):
    """The server's address and key, as a program that is launched is told them."""
    host, port = environment["LOOPBACK_TELEGRAM_ADDRESS"].rsplit(":", 1)
    return (host, int(port)), [
        int(part, 16) for part in environment["LOOPBACK_TELEGRAM_KEY"].split(":")
    ]
