"""The process of an extension serves its requests to the end."""

import socket
import threading

from spanbridge.extensions.inner.messages import Request, Response, Stop, decode_from_extension, encode
from spanbridge.extensions.inner.wire import Frames, arrivals, framed
from spanbridge.extensions.runner.router import Router
from spanbridge.extensions.runner.serve import Server
from spanbridge.extensions.runner.serving import Sender

BODY = "x" * 60_000
UNREAD_SECONDS = 0.5


def test_it_does_not_end_before_its_answer_is_out() -> None:
    """The process ends when its main thread has nothing more to do, whatever another one is sending."""
    host, own = socket.socketpair()
    own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # as little as the kernel has: an answer does not fit
    router = Router()
    router.get("/", lambda req: BODY)
    server = Server(own, Sender(own), router, 1 << 20)
    request = Request(7, "GET", "/", "", {}, b"", ("u", 0))
    host.sendall(framed(encode(request)))
    over = threading.Event()

    def serve() -> None:
        server.run_alone()
        own.shutdown(socket.SHUT_RDWR)  # as the end of the process does
        over.set()

    threading.Thread(target=serve, daemon=True).start()
    arrivals(host)()  # the answer has begun
    host.sendall(framed(encode(Stop())))
    assert not over.wait(UNREAD_SECONDS)  # nobody reads the answer
    frames = Frames(1 << 20)
    said = []
    while frames.read(host, 0):
        said += [decode_from_extension(bytes(body)) for body in frames.messages()]
    assert [message.body for message in said if isinstance(message, Response)] == [BODY.encode()]
    assert over.wait(60)
    host.close()
    own.close()
