"""How our account reaches Telegram, and what it is called there."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.errors import SettingsError
from bot.phrases import phrase

if TYPE_CHECKING:
    from bot.proxy import Proxy


@dataclass(frozen=True, slots=True)
class Network:
    """None: what the library says."""

    proxy: Proxy | None = None
    ipv6: bool = False
    device: str | None = None
    app_version: str | None = None

    def for_client(self) -> dict[str, Any]:
        """As the libraries' client takes it. Raises `SettingsError` for a proxy that ours cannot use."""
        given = {"device_model": self.device, "app_version": self.app_version}
        named = {name: value for name, value in given.items() if value is not None}
        return {"proxy": self._proxy(), "ipv6": self.ipv6, **named}

    def _proxy(self) -> dict[str, Any] | None:
        proxy = self.proxy
        if proxy is None:
            return None
        where = {"scheme": proxy.scheme, "hostname": proxy.host, "port": proxy.port}
        if proxy.scheme != "mtproxy":
            return {**where, "username": proxy.user, "password": proxy.password}
        if importlib.util.find_spec("pyrogram.connection.proxy") is None:
            raise SettingsError(
                phrase(
                    "PROXY: Pyrogram cannot use an mtproxy, kurigram can: install that "
                    "(docs/INSTALL.md says how), or name a socks5 or http proxy"
                )
            )
        return {**where, "secret": proxy.secret}
