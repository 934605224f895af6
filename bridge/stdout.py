"""What is said on stdout before there is an event loop."""

import os


def write(data: bytes) -> None:
    """Write all of `data` to stdout, in whatever mode that is."""
    while data:
        try:
            data = data[os.write(1, data) :]
        except BlockingIOError:
            import select

            poll = select.poll()
            poll.register(1, select.POLLOUT)
            poll.poll()
