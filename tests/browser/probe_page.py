"""A page of cockpit.js that a test says what to do: each script is the body of an async function."""

from pathlib import Path
from typing import Any, Final

from selenium.webdriver import Chrome

from .shell import PATIENCE_SECONDS, wait_for

NAME: Final = "probe"
MANIFEST: Final = {
    "version": 1,
    "tools": {"index": {"label": "Probe"}},
    "content-security-policy": "default-src 'self' 'unsafe-eval'",
}

_DIRECTORY = Path(__file__).with_name("probe")
_RUN = """
const [source, args, tell] = arguments;
const script = new Function("cockpit", "args", `return (async () => { ${source} })();`);
script(window.cockpit, args).then(value => tell({ value }), error => tell({
    error: { problem: error.problem ?? null, message: String(error.message ?? error), status: error.exit_status ?? null,
             signal: error.exit_signal ?? null },
}));
"""


def files() -> dict[str, bytes]:
    """Of the package."""
    return {path.name: path.read_bytes() for path in _DIRECTORY.iterdir()}


class Probe:
    """The page, loaded by itself from the cockpit-ws at `url`."""

    def __init__(self, browser: Chrome, url: str) -> None:
        self._browser = browser
        browser.set_script_timeout(PATIENCE_SECONDS)
        browser.get(f"{url}/cockpit/@localhost/{NAME}/index.html")
        wait_for(browser, "cockpit.js", lambda: browser.execute_script("return !!window.cockpit"))

    def outcome(self, source: str, **args: Any) -> Any:
        """{"value": ...} or {"error": {...}}: what becomes of an async function with this body."""
        return self._browser.execute_async_script(_RUN, source, args)

    def run(self, source: str, **args: Any) -> Any:
        """What it returns."""
        found = self.outcome(source, **args)
        assert "error" not in found, found
        return found.get("value")

    def fails(self, source: str, **args: Any) -> dict[str, Any]:
        """What it throws."""
        found = self.outcome(source, **args)
        assert "error" in found, found
        error: dict[str, Any] = found["error"]
        return error
