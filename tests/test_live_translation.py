"""The real program posts in another language; killed before it has, it says the same afterwards."""

from __future__ import annotations

from pyrogram import raw

from tests.loopback import Drop
from tests.translator import KEY, Translator

SEND = raw.functions.messages.SendMessage
WITHOUT = {"SOURCE_CHAT_ID": None, "TARGET_CHAT_ID": None, "SOURCE_ALLOWED_USERS": None}


async def test_killed_between_translation_and_post_it_posts_the_same_words(stage):
    """The service would say something else by then. The key is in no line of the log; see `Program`."""
    other = stage.telegram.channel("Other", admins=[stage.bot], id=2990000007)
    async with Translator(key=KEY) as service:
        (stage.directory / "routes.toml").write_text(
            f'[[source]]\nname = "one"\nchat = {stage.group.id}\nallowed_users = "everyone"\n'
            f'[[source.place]]\nname = "en"\nchat = {stage.target.id}\n'
            f'translate = {{ to = "en", url = "{service.url}" }}\n'
            f"[[source.place]]\nchat = {other.id}\n",
            "utf-8",
        )
        env = {**WITHOUT, "TRANSLATE_API_KEY": KEY}

        def is_there(call):
            return call.query.peer.channel_id == stage.target.bare_id

        to_target = stage.telegram.faults.on(SEND, Drop(), times=None, when=is_there)
        program = await stage.launch(**env)
        await program.wait_output('"started"', timeout=60)
        signal = await stage.alice.sends(stage.group, "#idea BTC вход 64000")
        await stage.shows("#idea BTC вход 64000", where=other)
        await stage.telegram.wait_for(
            lambda: any(map(is_there, stage.telegram.calls.of(SEND))), timeout=60, what="a try"
        )
        program.kill()
        await program.wait(timeout=15)
        to_target.cancel()

        service.answers = {"#idea BTC вход 64000": "#idea BTC entrance 64000"}
        async with stage.relay(**env) as again:
            first, *_ = await stage.shows("#idea BTC vhod 64000")
            await stage.alice.sends(stage.group, "стоп 62000", reply_to=signal)
            _, update = await stage.shows("#idea BTC vhod 64000", "stop 62000")

    assert update.reply_to == first.id
    assert service.texts == ["#idea BTC вход 64000", "стоп 62000"]
    assert KEY not in program.output + again.output
