"""Run a program with a listening socket as descriptor 3, as sd_listen_fds(3) describes it.

    python -I socket_activated.py DESCRIPTOR PROGRAM [ARGUMENT...]

The port is open before the program runs: no two tests can pick the same one, and nobody has to try again and
again until the program has come up. A connection that is early waits in the socket's backlog.
"""

import os
import sys

FIRST = 3


def main() -> None:
    descriptor, program = int(sys.argv[1]), sys.argv[2:]
    if descriptor != FIRST:
        os.dup2(descriptor, FIRST)
        os.close(descriptor)
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
    os.execvp(program[0], program)  # noqa: S606 - there is no shell to start this without


if __name__ == "__main__":
    main()
