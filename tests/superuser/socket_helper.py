"""A privileged helper that tells what its descriptors are: `python -I -S socket_helper.py [send-stderr]`.

With `send-stderr` it asks for another stderr first, says `before` on the old one and `after` on what it got.
"""

import json
import os
import socket
import sys


def frame(message: dict[str, object]) -> bytes:
    body = b"\n" + json.dumps(message).encode()
    return b"%d\n%b" % (len(body), body)


def note(about: dict[str, object]) -> None:
    with open(os.environ["BRIDGE_KIT_JOURNAL"], "a") as journal:
        journal.write(json.dumps({"note": "about", **about}) + "\n")


def has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR))
    except OSError:
        return False
    return True


def main() -> None:
    about: dict[str, object] = {"pid": os.getpid(), "sid": os.getsid(0), "terminal": has_terminal()}
    ours = socket.socket(fileno=os.dup(0))
    about["family"] = ours.family.name
    about["kind"] = ours.type.name
    about["one"] = os.fstat(0).st_ino == os.fstat(1).st_ino
    if "send-stderr" in sys.argv:
        os.write(2, b"before\n")
        os.write(1, frame({"command": "send-stderr"}))
        data, descriptors, _, _ = socket.recv_fds(ours, 64, 8)
        about["bytes"] = len(data)
        about["descriptors"] = len(descriptors)
        os.dup2(descriptors[0], 2)
        os.write(2, b"after\n")
    note(about)
    if "die" in sys.argv:
        sys.exit(1)
    os.write(1, frame({"command": "init", "version": 1}))
    while os.read(0, 65_536):
        pass


if __name__ == "__main__":
    main()
