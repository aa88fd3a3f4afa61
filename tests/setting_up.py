"""`setup`, at a terminal on the stage; the token is that of the stage's bot."""

from __future__ import annotations

import stat
from contextlib import asynccontextmanager

from tests.loopback import API_HASH
from tests.screen import Screen

TOKEN = "42:AAHsecretsecretsecretsecretsecret-_x"


@asynccontextmanager
async def setting_up(stage, **env):
    """Whatever happens, no secret is on the screen and no temporary login is left."""
    temporary = stage.directory / "tmp"
    temporary.mkdir(exist_ok=True)
    screen = await Screen.open(
        "setup",
        port=stage.telegram.server.port,
        cwd=stage.directory,
        env={"TMPDIR": str(temporary), "COLUMNS": "200", **env},
    )
    try:
        yield screen
    finally:
        await screen.close()
    for secret in (TOKEN.partition(":")[2], API_HASH):
        assert secret not in screen.raw
    assert "Traceback" not in screen.text
    assert list(temporary.iterdir()) == []
    temporary.rmdir()


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)
