"""An ordinary user's extensions, and through real sudo those of root: two hosts, each with its own directories."""

import copy
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from ..extensions.site import Page
from .installation import Installation
from .real_user import RealUser, real_user, require_sudo
from .site import Site

pytestmark = [pytest.mark.root, pytest.mark.timeout(120)]

WHO = """
import os

name, version = "who", "1"

def init(router, services):
    services.db.exec("CREATE TABLE IF NOT EXISTS ext_who_t (a)")

    @router.post("/")
    def add(req):
        services.db.prepare("INSERT INTO ext_who_t VALUES (?)").run(req.user.name)
        services.audit_log("add", "row", "1")
        return {"user": req.user.name, "uid": os.getuid(), "rows": services.db.prepare("SELECT a FROM ext_who_t").all()}

    @router.get("/shadow")
    def shadow(req):
        return open("/etc/shadow").read()
"""


@pytest.fixture
def somebody() -> Iterator[RealUser]:
    require_sudo()
    with real_user() as user:
        user.may("{name} ALL=(ALL) NOPASSWD: ALL")
        yield user


def installed(installation: Installation, root: Path) -> Path:
    """The program in an environment of its own, so that its Python finds it by itself, as an installed one does."""
    subprocess.run([installation.python, "-m", "venv", "--without-pip", str(root / "venv")], check=True, cwd="/")
    (packages,) = (root / "venv/lib").glob("python3*/site-packages")
    (packages / "spanbridge.pth").write_text(f"{installation.root}/lib\n")
    program = root / "venv/bin/spanbridge"
    program.write_text(f"#!{root}/venv/bin/python -I\nimport sys\nfrom spanbridge.cli import main\nsys.exit(main())\n")
    program.chmod(0o755)
    return program


def test_the_extensions_of_a_user_and_those_of_root(
    directory: Path, installation: Installation, somebody: RealUser
) -> None:
    root = directory
    installation = copy.copy(installation)
    installation.spanbridge = installed(installation, root)
    home = root / "of-root"
    command = ["/usr/bin/env", f"HOME={home}", "XDG_RUNTIME_DIR=", str(installation.spanbridge), "--privileged"]
    with ExitStack() as stack:
        site = Site(root, installation, somebody.user, stack)
        for data in (site.home.data_home, home / ".local/share"):
            extension = data / "spanbridge/extensions/who"
            (extension / "src").mkdir(parents=True)
            (extension / "package.json").write_text('{"name": "who", "version": "1"}')
            (extension / "src/main.py").write_text(WHO)
        bridge, _, superuser = site.superuser(
            {"privileged": True, "spawn": ["sudo", "-k", "-n", *command]},
            environ={"XDG_STATE_HOME": str(site.home.root / "state"), "HOME": str(site.home.root)},
            limits={"extension_linger_seconds": 0.1},
        )
        superuser.outcome(superuser.begin("Start", "sudo"))
        page = Page(bridge.front_end)
        ours, theirs = page("POST", "/api/ext/who/"), page("POST", "/api/ext/who/", superuser="require")
        user = somebody.user
        assert ours.json == {"user": user.name, "uid": user.uid, "rows": [{"a": user.name}]}
        assert theirs.json == {"user": "root", "uid": 0, "rows": [{"a": "root"}]}
        for which in ({}, {"superuser": "require"}):
            assert page.get("/api/ext/who/shadow", **which).status == 500  # the sandbox holds root, too
            (entry,) = page.get("/api/extensions/audit", **which).json["entries"]
            assert entry["actor"]["uid"] == (0 if which else user.uid)
        hosts = {page.get("/api/extensions", **which).json["host"]["pid"] for which in ({}, {"superuser": "require"})}
        assert len(hosts) == 2
    assert (root / "home/state/spanbridge/extensions/who/data.db").stat().st_uid == user.uid
    assert (home / ".local/state/spanbridge/extensions/who/data.db").stat().st_uid == 0
