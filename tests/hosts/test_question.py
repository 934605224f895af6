"""What ssh asks through its askpass program."""

import pytest

from spanbridge.helpers.hosts.question import Kind, is_interactive, read_question

JUMP = """The authenticity of host 'jump (127.0.0.2)' can't be established.
ED25519 key fingerprint is SHA256:Wi1qeZSpJDTz5iFRbWWqkTS3qW79dLAA+7DELP33V5w.
This key is not known by any other names.
Are you sure you want to continue connecting (yes/no/[fingerprint])? """

TABLE: list[tuple[str, str, bool, Kind]] = [
    ("bob@far's password: ", "", True, Kind.PASSWORD),
    ("bob@far's password: ", "", False, Kind.OTHER),
    ("(bob@far) Password: ", "", True, Kind.PASSWORD),
    ("(bob@far) Password: ", "", False, Kind.OTHER),
    ("(bob@far) Verification code: ", "", True, Kind.PASSWORD),
    ("(bob@far) One-time code\nfrom your phone: ", "", True, Kind.PASSWORD),
    ("Password: ", "", True, Kind.PASSWORD),
    ("Enter passphrase for key '/home/bob/.ssh/id_rsa': ", "", True, Kind.PASSPHRASE),
    ("Enter passphrase for key '/home/bob/it's': ", "", False, Kind.PASSPHRASE),
    (JUMP, "", False, Kind.HOST_KEY),
    ("Are you sure you want to continue connecting (yes/no)? ", "", True, Kind.HOST_KEY),
    ("Confirm user presence for key ED25519-SK SHA256:x", "none", True, Kind.TOUCH),
    ("Enter PIN for ED25519-SK key /home/bob/.ssh/id: ", "", True, Kind.OTHER),
    ("Enter bob@far's old password: ", "", True, Kind.OTHER),
    ("Enter bob@far's new password: ", "", True, Kind.OTHER),
    ("Allow use of key x?", "confirm", True, Kind.OTHER),
    ("", "", True, Kind.OTHER),
]


@pytest.mark.parametrize(("text", "hint", "ours", "kind"), TABLE)
def test_the_kind_of_a_question(text: str, hint: str, ours: bool, kind: Kind) -> None:
    assert read_question(text, hint, ours=ours).kind is kind


def test_the_key_whose_passphrase_is_asked_for() -> None:
    assert read_question("Enter passphrase for key '/home/bob/it's': ", "", ours=True).path == "/home/bob/it's"


def test_what_stands_before_the_prompt() -> None:
    question = read_question("(bob@far) Changing password.\nCurrent password: ", "", ours=True)
    assert question.messages == "(bob@far) Changing password."
    assert question.prompt == "Current password: "
    assert is_interactive(question)
    assert not is_interactive(read_question("bob@far's password: ", "", ours=True))


def test_a_question_that_is_answered_with_yes_or_no() -> None:
    assert read_question("Allow use of key x?", "confirm", ours=True).confirm
