"""A PostgreSQL server for the tests: of their own, on loopback, in a directory that goes with it.

`with server() as found: address = found.new_database()`. None: there is no PostgreSQL on this machine.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bot.server_address import ServerAddress

BINARIES = [Path("/usr/lib/postgresql", version, "bin") for version in ("18", "17", "16", "15")]
PASSWORD = "not-so-secret:@/%"  # with what must be written in another way in a URL
WRITTEN = "not-so-secret%3A%40%2F%25"
QUICK = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=40"


@dataclass
class Cluster:
    binaries: Path
    data: Path
    port: int
    numbers: itertools.count = field(default_factory=itertools.count)

    def command(self, name, *arguments, check=True, program=False):
        """As a user who may do nothing else: the server refuses to be run by root.

        `program`: it is none of PostgreSQL's.
        """
        who = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            who = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        return subprocess.run(
            [name if program else self.binaries / name, *map(str, arguments)],
            cwd=self.data.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=check,
            timeout=60,
            **who,
        )

    def start(self):
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories="
        self.command("pg_ctl", "-D", self.data, "-w", "-o", f"{options} {QUICK}", "start")

    def stop(self):
        """In order; where a session does not end in time (seen once, on a loaded machine), as by a crash."""
        for how in ("fast", "immediate"):
            done = self.command(
                "pg_ctl", *("-D", self.data, "-w", "-t", 20, "-m", how, "stop"), check=False
            )
            if done.returncode == 0:
                break

    @contextmanager
    def promoted(self):
        """Meanwhile a copy of it, which was promoted, answers in its place. Afterwards it is as before."""
        self.command("pg_ctl", "-D", self.data, "-w", "-m", "fast", "stop")
        real, copy = self.data, self.data.with_name("copy")
        self.command("cp", "-a", real, copy, program=True)
        self.data = copy
        self.command("touch", copy / "standby.signal", program=True)
        try:
            self.start()
            self.command("pg_ctl", "-D", copy, "-w", "promote")
            yield
        finally:
            self.stop()
            self.data = real
            self.start()

    def restart(self):
        self.stop()
        self.start()

    def address(self, database="postgres", *, password=WRITTEN, more=""):
        return ServerAddress(
            f"postgresql://relay:{password}@127.0.0.1:{self.port}/{database}{more}"
        )

    def sql(self, statement, database="postgres"):
        import psycopg  # noqa: PLC0415  # not everywhere

        with psycopg.connect(self.address(database).url, autocommit=True) as db:
            found = db.execute(statement)
            return found.fetchall() if found.description else []

    def new_database(self):
        """A schema of its own, which takes a tenth of the time."""
        name = f"relay_{next(self.numbers)}"
        self.sql(f"CREATE SCHEMA {name}")
        return self.address(more=f"?options=-csearch_path%3D{name}")


def _binaries():
    found = shutil.which("initdb")
    places = [*BINARIES, *([Path(found).resolve().parent] if found else [])]
    return next((place for place in places if (place / "initdb").exists()), None)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _reachable():
    """Where another user gets to: a directory for temporary files may be one's own."""
    here = Path(tempfile.gettempdir())
    closed = [each for each in (here, *here.parents) if not each.stat().st_mode & 0o001]
    return closed[-1].parent if closed else here


@contextmanager
def server():
    binaries = _binaries()
    if binaries is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="relay-postgresql-", dir=_reachable()) as directory:
        home = Path(directory)
        home.chmod(0o777)  # its processes run as another user
        (home / "password").write_text(PASSWORD)
        cluster = Cluster(binaries, home / "data", free_port())
        made = ("-U", "relay", "-A", "scram-sha-256", "--pwfile", home / "password")
        cluster.command("initdb", "-N", "-D", cluster.data, *made, "-E", "UTF8", "--locale=C")
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
