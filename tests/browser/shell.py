"""What a user sees and does in Cockpit's shell, as functions on a browser that shows it."""

import contextlib
from collections.abc import Callable, Iterator
from typing import TypeVar

from selenium.common.exceptions import ElementNotInteractableException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")

PATIENCE_SECONDS = 45.0
"""A guard against a page that never comes; a machine with many tests on it needs seconds for one."""

_TEXTS = """
return Array.from(document.querySelectorAll(arguments[0]))
    .filter(element => element.checkVisibility() || !arguments[1])
    .map(element => element.textContent.replaceAll('\\u00a0', ' ').trim());
"""

# Who clicks sees what is in the middle of it: nothing that is elsewhere, shut, or under something else.
_CLICK = """
const [selector, labels] = arguments;
for (const element of document.querySelectorAll(selector)) {
    if (labels.length && !labels.includes(element.innerText.trim()))
        continue;
    if (element.disabled || element.ariaDisabled === "true" || !element.checkVisibility({ visibilityProperty: true }))
        continue;
    element.scrollIntoView({ block: "nearest", behavior: "instant" });
    const place = element.getBoundingClientRect();
    const seen = document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2);
    if (element.contains(seen)) {
        element.click();
        return true;
    }
}
return false;
"""

_REDRAWN = (StaleElementReferenceException, ElementNotInteractableException)
"""The page has just put another element in the place of the one that was found, or has not shown it yet."""


def wait_for(browser: Chrome, what: str, condition: Callable[[], T]) -> T:
    """Wait until `condition` gives something true, and give that. `what` is said if it never does.

    It is asked again where the page has replaced what it was looking at.
    """
    wait = WebDriverWait(browser, PATIENCE_SECONDS, poll_frequency=0.05, ignored_exceptions=_REDRAWN)
    return wait.until(lambda _: condition(), f"waited for {what}")


def clicked(browser: Chrome, selector: str, *labels: str) -> bool:
    """Click the first that a CSS selector finds, with one of these texts if there are any; False if none can be.

    One script finds and clicks it: a page that moves it or draws it anew meanwhile would lose the click.
    """
    done: bool = browser.execute_script(_CLICK, selector, labels)
    return done


def click(browser: Chrome, *labels: str, within: str = "body", selector: str = "button") -> None:
    """Click the button that has one of these texts, or what else the selector finds, once that can be clicked."""
    wait_for(browser, f"{within} {selector} {labels}", lambda: clicked(browser, f"{within} {selector}", *labels))


def fill(browser: Chrome, selector: str, text: str) -> None:
    """Type over what is in a field, once there is one, until it has `text`.

    Not `clear`: that empties what shows and tells the page nothing, so the next time that the page draws itself, what
    it believes to be there is back, and what is typed is added to it.
    """

    def filled() -> bool:
        for field in visible(browser, selector):
            if field.get_property("value") != text:
                field.send_keys(Keys.CONTROL, "a", Keys.NULL, text)
            return field.get_property("value") == text
        return False

    wait_for(browser, f"the field {selector}, filled in", filled)


def visible(browser: Chrome, selector: str) -> list[WebElement]:
    """The elements that a CSS selector finds and that show."""
    return [each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]


def choose(browser: Chrome, toggle: str, item: str, *labels: str) -> bool:
    """Click an item of a menu (`clicked`), and open that first where it is shut; then False, since it takes time."""
    if clicked(browser, item, *labels):
        return True
    clicked(browser, f"{toggle}[aria-expanded=false]")
    return False


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

    def entered() -> bool:
        found = browser.find_elements(By.CSS_SELECTOR, selector)
        for frame in found[:1]:
            browser.switch_to.frame(frame)
        return bool(found)

    wait_for(browser, f"the page {path}", entered)
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
