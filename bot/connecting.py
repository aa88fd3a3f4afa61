"""The connection to Telegram that the settings tell of. Its library is loaded by whoever asks for one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from bot.config import Settings
    from bot.storage.lease import Lease
    from bot.telegram.catch_up import Following
    from bot.telegram.client import Telegram
    from bot.telegram.network import Network


def telegram_of(
    settings: Settings,
    directory: Path,
    following: Following | None = None,
    *,
    lease: Lease | None = None,
) -> Telegram:
    """The connection for settings that passed `require`; its session file is in `directory`."""
    from bot.telegram.client import Telegram
    from bot.telegram.credentials import Credentials

    credentials = Credentials(
        settings.api_id or 0,
        _secret(settings.api_hash) or "",
        directory,
        bot_token=_secret(settings.bot_token),
        session_string=_secret(settings.session_string),
        network=network_of(settings),
    )
    if lease is None:
        return Telegram(credentials, following=following)
    return Telegram(credentials, following=following, permit=lease.sure)


def network_of(settings: Settings) -> Network:
    from bot.telegram.network import Network

    return Network(
        settings.way, settings.ipv6, settings.device_name or None, settings.app_version or None
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()
