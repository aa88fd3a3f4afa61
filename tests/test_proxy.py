"""The way to Telegram: by a proxy, by IPv6, and under which name; no password is ever shown."""

from __future__ import annotations

import socket

import pytest
from pyrogram import raw
from pyrogram.connection import connection as library

from bot.config import Settings
from bot.errors import RetryLater, SettingsError
from bot.proxy import Proxy, parse_proxy
from bot.telegram.network import Network
from tests.accounts import connection
from tests.proxies import ProxyServer

PASSWORD = "p@ss:w/ord%"
SECRET = "00112233445566778899aabbccddeeff"
KURIGRAM = hasattr(library, "transport_class_for")


@pytest.mark.parametrize(
    ("text", "proxy"),
    [
        ("socks5://127.0.0.1:1080", Proxy("socks5", "127.0.0.1", 1080)),
        (
            "socks5://me:p%40ss@proxy.example:1080",
            Proxy("socks5", "proxy.example", 1080, "me", "p@ss"),
        ),
        ("http://me@[::1]:8080/", Proxy("http", "::1", 8080, "me")),
        (f"mtproxy://{SECRET}@h:443", Proxy("mtproxy", "h", 443, secret=SECRET)),
        (
            f"tg://proxy?server=h&port=443&secret={SECRET}",
            Proxy("mtproxy", "h", 443, secret=SECRET),
        ),
        (
            "https://t.me/socks?server=h&port=1080&user=me&pass=p",
            Proxy("socks5", "h", 1080, "me", "p"),
        ),
    ],
)
def test_a_proxy_is_written_as_people_write_it(text, proxy):
    assert parse_proxy(text) == proxy


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1:1080", "socks5://host", "socks5://host:port", "ftp://host:21", "socks5://host:99999",
        "https://me:geheimnis@host:443", "mtproxy://host:443", "mtproxy://short@host:443",
        "tg://proxy?server=h&secret=geheimnis", "http://host:80/path", "socks5://",
    ],
)  # fmt: skip
def test_what_is_no_proxy_is_told_without_repeating_it(text):
    """A password may be in it."""
    with pytest.raises(ValueError, match=r"write (socks5|mtproxy)://") as caught:
        parse_proxy(text)
    assert "geheimnis" not in str(caught.value)


def test_no_password_of_a_proxy_is_shown():
    settings = Settings(proxy="socks5://me:geheimnis@h:1080", _env_file=None)

    assert settings.way == Proxy("socks5", "h", 1080, "me", "geheimnis")
    assert "geheimnis" in settings.secrets
    for shown in (
        repr(settings),
        settings.model_dump_json(),
        repr(settings.way),
        str(settings.way),
    ):
        assert "geheimnis" not in shown


@pytest.fixture
def connect(telegram, bot, tmp_path):
    made = []

    def connect(network):
        account = connection(
            bot_token=bot.token, directory=tmp_path / str(len(made)), network=network
        )
        made.append(account)
        return account

    return connect


@pytest.mark.parametrize("scheme", ["socks5", "http"])
@pytest.mark.parametrize(
    "login", [{}, {"user": "me", "password": PASSWORD}], ids=["open", "password"]
)
async def test_telegram_is_reached_by_a_proxy(telegram, connect, scheme, login):
    async with ProxyServer(scheme, **login) as proxy:
        account = connect(Network(Proxy(scheme, "127.0.0.1", proxy.port, **login)))
        me = await account.start()
        await account.stop()

    assert me.username == "relay_bot"
    assert set(proxy.led) == {("127.0.0.1", telegram.server.port)}
    assert proxy.refused == 0


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_a_proxy_that_refuses_the_password_is_named_and_the_password_is_not(connect, scheme):
    async with ProxyServer(scheme, user="me", password="another") as proxy:
        account = connect(Network(Proxy(scheme, "127.0.0.1", proxy.port, "me", PASSWORD)))
        with pytest.raises(RetryLater, match="the proxy does not lead to Telegram: ") as caught:
            await account.start()

    assert proxy.refused >= 1
    assert proxy.led == []
    assert PASSWORD not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_named(connect):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    account = connect(Network(Proxy("socks5", "127.0.0.1", port)))

    with pytest.raises(RetryLater, match="the proxy does not lead to Telegram"):
        await account.start()


async def test_an_mtproxy_is_for_the_library_that_can_use_it(telegram, connect):
    """Kurigram can. With Pyrogram it is one line that says what to do."""
    to = ("127.0.0.1", telegram.server.port)
    async with ProxyServer("mtproxy", secret=bytes.fromhex(SECRET), to=to) as proxy:
        account = connect(Network(Proxy("mtproxy", "127.0.0.1", proxy.port, secret=SECRET)))
        if not KURIGRAM:
            with pytest.raises(
                SettingsError, match=r"^PROXY: Pyrogram cannot use an mtproxy, kurigram"
            ):
                await account.start()
            return
        assert (await account.start()).username == "relay_bot"
        await account.stop()

    assert proxy.led
    assert proxy.refused == 0


async def test_telegram_is_reached_by_ipv6(connect):
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    account = connect(Network(ipv6=True))
    await account.start()
    protocol = account.client.session.connection.protocol
    family = protocol.writer.get_extra_info("socket").family
    await account.stop()

    assert family is socket.AF_INET6


async def test_what_telegram_calls_the_device_is_a_setting(telegram, connect):
    account = connect(Network(device="Relay on a shelf", app_version="7.7"))
    await account.start()
    await account.stop()

    (login,) = telegram.calls.of(raw.functions.auth.ImportBotAuthorization)
    said = login.session.introduction
    assert (said.device_model, said.app_version) == ("Relay on a shelf", "7.7")


@pytest.mark.parametrize("scheme", ["socks5", "http"])
async def test_the_running_bot_relays_by_a_proxy_and_check_uses_it(stage, scheme):
    """At the lowest log level, with a password shorter than what is blacked out everywhere."""
    async with ProxyServer(scheme, user="me", password="k#7Q") as proxy:
        url = f"{scheme}://me:k%237Q@127.0.0.1:{proxy.port}"
        done = await stage.launch("check", PROXY=url)
        assert await done.wait(timeout=60) == 0, done.output
        asked = len(proxy.led)
        async with stage.relay(PROXY=url, LOG_LEVEL="DEBUG") as program:
            await stage.alice.sends(stage.group, "#idea BTC")
            await stage.shows("#idea BTC")

    assert asked >= 1
    assert len(proxy.led) > asked
    for shown in (done.output, program.output):
        assert "k#7Q" not in shown
        assert "k%237Q" not in shown
