"""What a user sees and does in Cockpit's shell, as functions on a browser that shows it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")

PATIENCE_SECONDS = 45.0
"""A guard against a page that never comes; a machine with many tests on it needs seconds for one."""

_TEXTS = """
return Array.from(document.querySelectorAll(arguments[0]))
    .filter(element => element.checkVisibility() || !arguments[1])
    .map(element => element.textContent.replaceAll('\\u00a0', ' ').trim());
"""


def wait_for(browser: Chrome, what: str, condition: Callable[[], T]) -> T:
    """Wait until `condition` gives something true, and give that. `what` is said if it never does."""
    wait = WebDriverWait(browser, PATIENCE_SECONDS, poll_frequency=0.05)
    return wait.until(lambda _: condition(), f"waited for {what}")


def texts(browser: Chrome, selector: str, *, hidden: bool = False) -> list[str]:
    """The text of each element of the current frame that a CSS selector finds; `hidden` ones if asked for.

    One script reads them all, so a page that replaces its elements meanwhile does no harm.
    """
    found: list[str] = browser.execute_script(_TEXTS, selector, not hidden)
    return found


def open_page(browser: Chrome, url: str, path: str) -> None:
    """Load the shell with the page of `path` (such as /system/terminal), and wait for its menu."""
    browser.get(url + path)
    wait_for(browser, "the shell's menu", lambda: menu(browser))


def menu(browser: Chrome) -> list[str]:
    """The names of the pages that the menu offers."""
    return texts(browser, "#host-apps a .nav-item-name")


def curtains(browser: Chrome) -> list[str]:
    """What stands before the pages when the shell cannot show them; empty if all is well."""
    return texts(browser, "#early-failure, #early-failure-ready, .curtains-ct")


@contextlib.contextmanager
def page(browser: Chrome, path: str, host: str = "localhost") -> Iterator[None]:
    """In the block the browser is within the frame of the page `path` of a host, once that is loaded."""
    selector = f"iframe[name='cockpit1:{host}{path}'][data-loaded]"
    frame = wait_for(browser, f"the page {path}", lambda: browser.find_elements(By.CSS_SELECTOR, selector))[0]
    browser.switch_to.frame(frame)
    try:
        yield
    finally:
        browser.switch_to.default_content()


def terminal_lines(browser: Chrome) -> list[str]:
    """The lines that the terminal of the current frame shows, without the empty ones.

    They are drawn on a canvas; the same text is kept for screen readers, one element a line.
    """
    rows = texts(browser, ".xterm-accessibility-tree > [role=listitem]", hidden=True)
    return [row for row in rows if row]


def type_in_terminal(browser: Chrome, text: str) -> None:
    browser.find_element(By.CSS_SELECTOR, ".xterm-helper-textarea").send_keys(text)
