"""The askpass program: run by `sudo -A` with the prompt as its argument, once for each question.

Its stdin is the socket that the privileged helper has towards the bridge (docs/superuser.md, "Passwords"): the question
goes there as an `authorize` frame, and the answer that comes back is printed. Imports little: it is waited for.
"""

import json
import os
import sys

_LONGEST = 1 << 16  # bytes of an answer


def main() -> int:
    """Ask; 0 with an answer on stdout, 1 without."""
    prompt = os.fsencode(sys.argv[1]).decode(errors="replace") if len(sys.argv) > 1 else ""
    question = {
        "command": "authorize",
        "cookie": f"askpass-{os.getpid()}",
        "challenge": "plain1:",
        "prompt": prompt,
    }
    payload = b"\n" + json.dumps(question).encode()
    try:
        _write(0, b"%d\n%b" % (len(payload), payload))
        answer = _read_answer()
        response = answer.get("response")
        if answer.get("cookie") != question["cookie"] or not isinstance(response, str) or not response:
            return 1
        _write(1, response.encode(errors="surrogatepass") + b"\n")  # UTF-8 whatever the locale
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


def _read_answer() -> dict[str, object]:
    """One frame and not a byte more: what follows is for the helper."""
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
