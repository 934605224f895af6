"""What the other tests rely on: a secret that shows is found."""

import subprocess

from .real_user import where_it_shows


def test_a_secret_that_shows_is_found() -> None:
    told = ["/bin/sh", "-c", "echo up; read -r line", "word in an argument"]
    environ = {"NOTE": "the word in the environment"}
    with subprocess.Popen(told, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ) as process:
        assert process.stdout is not None
        process.stdout.readline()

        assert where_it_shows("the word", [process.pid]) == [f"{process.pid}/environ"]
        assert where_it_shows("an argument", [process.pid]) == [f"{process.pid}/cmdline"]
        assert where_it_shows("nowhere", [process.pid]) == []

        process.communicate()
