"""login.py USER PASSWORD spanbridge|other: log in through cockpit-ws, and see who serves; run by `deb` on its machine.

The system's Python alone: where spanbridge is gone again, nothing else is there. The last line says what it saw.
"""

import base64
import contextlib
import http.client
import json
import os
import pwd
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

PORT = 9090  # in a network namespace of its own
SECONDS = 60
FRONT_END = "/usr/lib/cockpit/cockpit-ws"
SESSION = "/usr/lib/cockpit/cockpit-session"
SOCKET = Path("/run/cockpit/session")
UNITS = Path("/usr/lib/systemd/system")


def main() -> None:
    user, password, expected = sys.argv[1:]
    uid = pwd.getpwnam(user).pw_uid
    before = processes(uid)
    if (UNITS / "cockpit-session.socket").exists():
        stand_in_for_systemd()
    server = subprocess.Popen([FRONT_END, "--no-tls", f"--port={PORT}", "--address=127.0.0.1"])
    try:
        wait_for_server(server)
        assert login(user, "wrong")[0] == 401, "a wrong password logs in"
        status, cookie = login(user, password)
        assert status == 200, f"login: {status}"
        page = Page(cookie)
        seen = program_of_session(page)
        name = "spanbridge" if "spanbridge" in seen else "other"
        assert name == expected, f"the session is {seen}, not {expected}"
        who = page.command("id -un")
        assert who == user, f"the session is of {who}"
        root = ""
        if expected == "spanbridge":
            admin = page.command("id -un; tr '\\0' ' ' </proc/$PPID/cmdline", superuser="require")
            assert admin.startswith("root "), f"administrative access is of {admin}"
            assert "spanbridge" in admin, f"administrative access is by {admin}"
            assert "--privileged" in admin, f"administrative access is by {admin}"
            root = ", and root by sudo"
            page.login_messages()
        page.logout()
        if expected == "spanbridge":  # Debian 12's own leaves an agent
            wait_for_end_of(uid, before)
        assert login_with(cookie) == 401, "the cookie is good after the logout"
        print(f"200, a terminal of {who}{root}; the session is {seen}")
    finally:
        server.terminate()
        server.wait(SECONDS)


def stand_in_for_systemd() -> None:
    """Newer ones leave it to systemd to start a cockpit-session for each connection to a socket."""
    SOCKET.parent.mkdir(exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(SOCKET))
    listener.listen()
    threading.Thread(target=serve_sessions, args=(listener,), daemon=True).start()


def serve_sessions(listener: socket.socket) -> None:
    while True:
        sock, _ = listener.accept()
        with sock:
            subprocess.Popen([SESSION], stdin=sock.fileno(), stdout=sock.fileno())


def wait_for_server(server: subprocess.Popen[bytes]) -> None:
    """Nothing tells when it listens."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", PORT)):
            return
        time.sleep(0.05)
    raise SystemExit("cockpit-ws does not listen")


def wait_for_end_of(uid: int, others: set[str]) -> None:
    """No process of the session is left; nothing tells when the last of them ends."""
    end = time.monotonic() + SECONDS
    while left := processes(uid) - others:
        assert time.monotonic() < end, f"after the logout there are still the processes {left}"
        time.sleep(0.05)


def processes(uid: int) -> set[str]:
    return {path.name for path in Path("/proc").glob("[0-9]*") if owner(path) == uid}


def owner(process: Path) -> int | None:
    """Its user; None if it has gone, or is a zombie, whose parent may take its time."""
    try:
        if (process / "stat").read_text().rpartition(")")[2].split()[0] == "Z":
            return None
        return process.stat().st_uid
    except OSError:
        return None


def login_with(cookie: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    connection.request("GET", "/cockpit/login", headers={"Cookie": cookie})
    return connection.getresponse().status


def login(user: str, password: str) -> tuple[int, str]:
    """The status, and the cookie of the session."""
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=SECONDS)
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}", "X-Superuser": "any"}
    connection.request("GET", "/cockpit/login", headers=headers)
    answer = connection.getresponse()
    answer.read()
    return answer.status, (answer.getheader("Set-Cookie") or "").partition(";")[0]


def program_of_session(page: "Page") -> str:
    """The command line of what has started the shell of a channel."""
    return page.command("tr '\\0' ' ' </proc/$PPID/cmdline")


class Page:
    """What a page is to cockpit-ws: a WebSocket with frames in it."""

    def __init__(self, cookie: str) -> None:
        self._sock = socket.create_connection(("127.0.0.1", PORT), timeout=SECONDS)
        self._file = self._sock.makefile("rb")
        key = base64.b64encode(os.urandom(16)).decode()
        self._sock.sendall(
            (
                f"GET /cockpit/socket HTTP/1.1\r\nHost: 127.0.0.1:{PORT}\r\nOrigin: http://127.0.0.1:{PORT}\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n"
                f"Sec-WebSocket-Protocol: cockpit1\r\nCookie: {cookie}\r\n\r\n"
            ).encode()
        )
        assert b" 101 " in self._file.readline(), "no WebSocket"
        while self._file.readline().strip():
            pass
        self._channels = 0
        self._control(command="init", version=1, host="localhost", superuser={"id": "any"})

    def command(self, script: str, **options: object) -> str:
        """What a shell in a terminal prints."""
        self._channels += 1
        channel = f"1:{self._channels}"
        spawn = ["/bin/sh", "-c", script]
        self._control(command="open", channel=channel, payload="stream", spawn=spawn, pty=True, **options)
        printed = ""
        while True:
            name, _, payload = self._receive().partition("\n")
            if name == channel:
                printed += payload
            elif not name:
                message = json.loads(payload)
                if message.get("channel") == channel and message["command"] == "close":
                    assert "problem" not in message, message
                    return " ".join(printed.split())

    def login_messages(self) -> None:
        """What PAM said, which cockpit-session hands to the bridge in a descriptor."""
        self._control(command="open", channel="m", payload="dbus-json3", bus="internal")
        call = ["/LoginMessages", "cockpit.LoginMessages", "Get", []]
        self._send(b"m\n" + json.dumps({"call": call, "id": "1"}).encode())
        while True:
            name, _, payload = self._receive().partition("\n")
            if name == "m":
                answer = json.loads(payload)
                assert "reply" in answer, answer
                json.loads(answer["reply"][0][0])
                return

    def logout(self) -> None:
        """Until cockpit-ws has hung up."""
        self._control(command="logout", disconnect=True)
        while self._sock.recv(1 << 16):
            pass

    def _control(self, **message: object) -> None:
        self._send(b"\n" + json.dumps(message).encode())

    def _send(self, data: bytes) -> None:
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        length = struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
        self._sock.sendall(length + mask + masked)

    def _receive(self) -> str:
        """The next message that is text; pings are not answered in so short a time."""
        while True:
            first, second = self._file.read(2)
            length = second & 0x7F
            if length >= 126:
                (length,) = struct.unpack("!H" if length == 126 else "!Q", self._file.read(2 if length == 126 else 8))
            data = self._file.read(length)
            assert first != 0x88, f"closed: {data!r}"
            if first == 0x81:
                return data.decode(errors="replace")


if __name__ == "__main__":
    main()
