"""Programs in terminals."""

from .client import Client


def test_a_terminal_is_the_controlling_one_and_has_a_size(client: Client) -> None:
    heard = client.run("tty; stty size; stty size < /dev/tty", pty=True, window={"rows": 30, "cols": 100.0})
    name, size, controlling = heard.data.decode().replace("\r", "").split("\n")[:3]
    assert name.startswith("/dev/pts/")
    assert size == "30 100"
    assert controlling == size
    assert heard.closed["exit-status"] == 0
    assert "message" not in heard.closed
    assert client.run("stty size", pty=True).data == b"24 80\r\n"
    assert client.run("stty size", pty=True, window={"rows": -5, "cols": 1 << 40}).data == b"0 65535\r\n"
    assert client.run("echo >&2", pty=True, err="message").closed["message"] == ""


def test_another_size_is_told_to_the_program(client: Client) -> None:
    script = "trap 'stty size; exit' WINCH; echo on; while :; do sleep 0.05; done"
    channel = client.shell(script, pty=True)
    client.front.data(channel, 4)
    client.front.control("options", channel=channel, window={"rows": None, "cols": 9})
    client.front.control("options", channel=channel, window=None)
    client.front.control("options", channel=channel, window={"rows": 7, "cols": 9})
    assert client.heard(channel).data == b"on\r\n7 9\r\n"


def test_done_is_the_end_of_file(client: Client) -> None:
    for text in (b"line\n", b"no end", b""):
        channel = client.shell("stty -echo; echo on; cat > /dev/null; echo end", pty=True)
        client.front.data(channel, 4)
        if text:
            client.front.send(channel, text)
        client.front.control("done", channel=channel)
        assert client.heard(channel).data == b"on\r\nend\r\n"


def test_a_large_paste_arrives_whole(client: Client) -> None:
    """Also to a program that does not read at first: nothing is lost in the terminal."""
    line = b"x" * 99 + b"\n"
    channel = client.shell("stty -echo; echo on; sleep 0.3; head -c 100000 | wc -c", pty=True)
    client.front.data(channel, 4)
    client.front.send(channel, line * 1_000)
    heard = client.heard(channel)
    assert heard.data.split() == [b"on", b"100000"]


def test_bytes_that_are_no_text(client: Client) -> None:
    heard = client.run(r"printf 'a\377b'", pty=True)
    assert heard.data.decode() == "a\ufffdb"
    assert client.run(r"printf 'a\377b'", pty=True, binary="raw").data == b"a\xffb"


def test_many_lines(client: Client) -> None:
    heard = client.run("seq 1 30000", pty=True)
    assert heard.data == b"".join(b"%d\r\n" % number for number in range(1, 30_001))
