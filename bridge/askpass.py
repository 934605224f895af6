"""The askpass program: run by `sudo -A`, or by ssh, with the prompt as its argument, once for each question.

For sudo its stdin is the socket that the privileged helper has towards the bridge (docs/superuser.md, "Passwords"): the
question goes there as an `authorize` frame, and the answer that comes back is printed. For ssh a variable names the
socket of the bridge (docs/hosts.md, "Questions"). Imports little: it is waited for.
"""

import os
import sys

SOCKET_VARIABLE = "SPANBRIDGE_ASKPASS_SOCKET"
ANSWER = b"+"
"""Begins an answer on that socket; without one there is none."""

_LONGEST = 1 << 16  # bytes of an answer


def main() -> int:
    """Ask; 0 with an answer on stdout, 1 without."""
    prompt = os.fsencode(sys.argv[1]).decode(errors="replace") if len(sys.argv) > 1 else ""
    place = os.environ.get(SOCKET_VARIABLE)
    try:
        answer = _ask_for_sudo(prompt) if place is None else _ask_for_ssh(prompt, place)
        if answer is None:
            return 1
        _write(1, answer + b"\n")
    except (OSError, ValueError) as error:
        print(f"spanbridge-askpass: no answer: {_shown(error)}", file=sys.stderr)
        return 1
    return 0


def _shown(error: Exception) -> str:
    """What went wrong, without what was read: that may be the answer."""
    return str(error) if type(error) is ValueError or isinstance(error, OSError) else "expected JSON in UTF-8"


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


# For ssh


def _ask_for_ssh(prompt: str, place: str) -> bytes | None:
    """Ends when the bridge has answered, or has gone; until then ssh waits."""
    import socket

    hint = os.environ.get("SSH_ASKPASS_PROMPT", "")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(place)
        sock.sendall(b"%b\0%b\0" % (os.fsencode(hint), prompt.replace("\0", "").encode()))
        answer = b""
        while len(answer) <= _LONGEST and (data := sock.recv(_LONGEST)):
            answer += data
    return answer[1:] if answer.startswith(ANSWER) else None


# For sudo


def _ask_for_sudo(prompt: str) -> bytes | None:
    import json

    question = {
        "command": "authorize",
        "cookie": f"askpass-{os.getpid()}",
        "challenge": "plain1:",
        "prompt": prompt,
    }
    payload = b"\n" + json.dumps(question).encode()
    _write(0, b"%d\n%b" % (len(payload), payload))
    answer = _read_answer()
    response = answer.get("response")
    if answer.get("cookie") != question["cookie"] or not isinstance(response, str) or not response:
        return None
    return response.encode(errors="surrogatepass")  # UTF-8 whatever the locale


def _read_answer() -> dict[str, object]:
    """One frame and not a byte more: what follows is for the helper."""
    import json

    digits = b""
    while not digits.endswith(b"\n"):
        digits += _read(1)
        if len(digits) > 9:
            raise ValueError("expected a frame")
    if not digits[:-1].isdigit():
        raise ValueError("expected a frame")
    length = int(digits)
    if length > _LONGEST:
        raise ValueError(f"answer of {length} bytes, above {_LONGEST}")
    body = b""
    while len(body) < length:
        body += _read(length - len(body))
    answer = json.loads(body[1:]) if body[:1] == b"\n" else None
    if not isinstance(answer, dict) or answer.get("command") != "authorize":
        raise ValueError("expected an authorize message")
    return answer


def _read(count: int) -> bytes:
    data = os.read(0, count)
    if not data:
        raise ValueError("end of file")
    return data
