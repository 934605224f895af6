"""What a failure of the kit shows of itself: nothing. The line of the test is what its reader needs."""

from typing import Any, Final


def of_the_kit(caught: Any) -> bool:
    """Whether an exception is one that the kit raises for a test to fail; pytest asks (`__tracebackhide__`)."""
    return type(caught.value).__module__.startswith(__package__ or "")


HIDE: Final = of_the_kit
"""For `__tracebackhide__` of a module: its frames are left out of the tracebacks of such exceptions."""
