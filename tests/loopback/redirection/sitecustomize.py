"""Runs at the start of a program that a test launches, because its folder is on PYTHONPATH.

It imports nothing of the library: the program may first want to set an event loop or a
warning filter. It waits for the two modules to be imported, and redirects them then.
"""

import importlib.abc
import importlib.util
import os
import sys

import loopback_redirection


class _Loader(importlib.abc.Loader):
    def __init__(self, loader, after):
        self._loader = loader
        self._after = after

    def create_module(self, spec):
        return self._loader.create_module(spec)

    def exec_module(self, module):
        self._loader.exec_module(module)
        self._after(module)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, after):
        self._after = after

    def find_spec(self, name, path, target=None):
        after = self._after.pop(name, None)
        if after is None:
            return None
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, after)
        return spec


def _redirect_on_import():
    address, key = loopback_redirection.told(os.environ)
    after = {
        loopback_redirection.TCP_MODULE: lambda module: loopback_redirection.redirect_tcp(
            module, address
        ),
        loopback_redirection.RSA_MODULE: lambda module: loopback_redirection.trust_key(
            module, *key
        ),
    }
    sys.meta_path.insert(0, _Finder(after))


if "LOOPBACK_TELEGRAM_ADDRESS" in os.environ:
    _redirect_on_import()
