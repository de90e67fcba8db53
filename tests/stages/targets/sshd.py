"""An OpenSSH server of the tests' own: on the loopback address, at a free port, with keys made for it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import psutil

from stages.engines.targets.names import parse
from stages.engines.targets.ssh import SshTarget

USER = pwd.getpwuid(os.getuid()).pw_name
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
MISSING = "" if SSHD and shutil.which("ssh") else (
    "no OpenSSH server here: apt-get install openssh-server openssh-client")


class Server:
    """A running server, and the client's settings that fit it.

    Attributes:
        known: the file of known hosts, which holds the server's key.
    """

    def __init__(self, folder: Path, *settings: str) -> None:
        self.folder, self.known, self.port = folder, folder / "known", free_port()
        for name in ("host", "user", "stranger"):
            make_key(folder / name)
        (folder / "authorized").write_text((folder / "user.pub").read_text())
        self.known.write_text(self.known_line("host"))
        lines = [f"Port {self.port}", "ListenAddress 127.0.0.1", f"HostKey {folder}/host", f"PidFile {folder}/pid",
                 f"AuthorizedKeysFile {folder}/authorized", "PasswordAuthentication no", "UsePAM no", "StrictModes no",
                 "KbdInteractiveAuthentication no", *settings]
        (folder / "sshd_config").write_text("\n".join(lines) + "\n")
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)  # where a server of root's locks its helpers in
        self.start()

    def start(self) -> None:
        """Start it; after `stop` at the same port with the same keys."""
        with (self.folder / "sshd.log").open("ab") as log:
            self.process = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(self.folder / "sshd_config")],
                                            stderr=log, start_new_session=True)
        self._wait()

    def known_line(self, key: str) -> str:
        """What a list of known hosts says of this server with that key."""
        return f"[127.0.0.1]:{self.port} {(self.folder / f'{key}.pub').read_text()}"

    def target(self, *, key: str = "user", port: int = 0, known: Path | None = None, alive_s: int = 5,
               **options: str) -> SshTarget:
        """The server as a target, not yet opened, with the folder `remote` there."""
        config = self.folder / f"config-{key}-{(known or self.known).name}"
        config.write_text(f"Host *\n  IdentityFile {self.folder}/{key}\n  IdentitiesOnly yes\n  IdentityAgent none\n"
                          f"  UserKnownHostsFile {known or self.known}\n  GlobalKnownHostsFile /dev/null\n")
        given = {"folder": str(self.folder / "remote"), **options}
        text = ",".join([f"ssh:{USER}@127.0.0.1:{port or self.port}", *(f"{k}={v}" for k, v in given.items())])
        return SshTarget(text, parse(text), ["ssh", "-F", str(config)], alive_s)

    def sessions(self) -> list[psutil.Process]:
        """The processes that serve one connection each."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def stop(self) -> None:
        """End the server and whatever it serves."""
        listener, sessions = self.process, self.sessions()
        listener.send_signal(signal.SIGKILL)
        listener.wait()
        for process in sessions:
            process.kill()

    def _wait(self) -> None:
        """Until it listens."""
        for _ in range(300):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "sshd.log").read_text())


def make_key(path: Path) -> None:
    """A fresh key and its public half beside it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)], check=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
