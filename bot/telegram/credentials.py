"""What an account logs in with, and what to tell an operator where Telegram does not take it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bot.errors import LoggedOut, VoidLogin, WrongCredentials, words_of
from bot.phrases import phrase
from bot.telegram.network import Network

if TYPE_CHECKING:
    from pathlib import Path

    from bot.errors import TelegramError

SESSION: Final = "relay"  # the session file is called after it


@dataclass(frozen=True, slots=True)
class Credentials:
    """A bot's token, or the session string of a person; with a token the login is kept in
    `directory`.
    """

    api_id: int
    api_hash: str = field(repr=False)
    directory: Path
    bot_token: str | None = field(default=None, repr=False)
    session_string: str | None = field(default=None, repr=False)
    network: Network = field(default=Network(), repr=False)

    def __post_init__(self) -> None:
        if (self.bot_token is None) == (self.session_string is None):
            raise ValueError("either a bot token or a session string, not both or none")

    @property
    def file(self) -> Path:
        return self.directory / f"{SESSION}.session"

    @property
    def kept_in(self) -> str:
        """What holds the login."""
        return "SESSION_STRING" if self.session_string else str(self.file)

    def for_client(self) -> dict[str, Any]:
        """As the libraries' client takes them."""
        return {
            "name": SESSION,
            "api_id": self.api_id,
            "api_hash": self.api_hash,
            "bot_token": self.bot_token,
            "session_string": self.session_string,
            "workdir": str(self.directory),
            **self.network.for_client(),
        }

    def check(self, account: int) -> None:
        """A session file outlives the token it was made with. Raises `LoggedOut`."""
        if self.bot_token is not None and str(account) != self.bot_token.partition(":")[0]:
            raise WrongCredentials(
                phrase(
                    "BOT_TOKEN is not of the bot that {file} is logged in as: "
                    "remove that file, or put back that bot's token",
                    file=str(self.file),
                )
            )

    def explained(self, exc: TelegramError) -> LoggedOut:
        """A refusal, with what the operator is to look at."""
        error = words_of(exc)
        if "API_ID" in error:
            return WrongCredentials(
                phrase(
                    "{error}: API_ID or API_HASH is wrong, see https://my.telegram.org", error=error
                )
            )
        if "ACCESS_TOKEN" in error:
            return WrongCredentials(
                phrase(
                    "{error}: BOT_TOKEN is wrong or was revoked, @BotFather gives another",
                    error=error,
                )
            )
        text = phrase("{error}: {login} is void, log in anew", error=error, login=self.kept_in)
        return VoidLogin(text) if isinstance(exc, LoggedOut) else LoggedOut(text)
