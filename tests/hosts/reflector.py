"""A far bridge that asks for a password twice and then tells, in the `ready` of each open, what it was told.

python3 reflector.py
"""

import json
import os
import sys
from typing import Any


def say(**message: Any) -> None:
    payload = b"\n" + json.dumps(message).encode()
    os.write(1, b"%d\n%b" % (len(payload), payload))


def listen() -> dict[str, Any]:
    """The next control message; data frames are passed over."""
    while True:
        line = sys.stdin.buffer.readline()
        if not line:
            sys.exit(0)
        channel, _, payload = sys.stdin.buffer.read(int(line)).partition(b"\n")
        if not channel:
            message: dict[str, Any] = json.loads(payload)
            return message


say(command="init", version=1)
init = listen()
answers = []
for cookie in ("1", "2"):
    say(command="authorize", cookie=cookie, challenge="plain1:616c696365")
    answer = listen()
    early = []
    while answer["command"] != "authorize":
        early.append(answer)
        answer = listen()
    answers.append(answer["response"])
    for message in early:
        if message["command"] == "open":
            opened = message
say(command="superuser-init-done")
say(command="ready", channel=opened["channel"], open=opened, init=init, answers=answers)
while True:
    listen()
