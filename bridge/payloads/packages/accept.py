"""What a front end accepts: weighted lists (RFC 9110, section 12.4.2), and Accept-Encoding."""

import re
from typing import Final

_WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


def weights(header: str) -> list[tuple[str, float]]:
    """The elements of an Accept header in lower case, each with its weight from 0 to 1, in the order of the header.

    An element whose weight is not one is left out: it cannot be told what it was to mean.
    """
    found = []
    for element in header.split(","):
        value, *parameters = [part.strip() for part in element.split(";")]
        weight = _weight(parameters)
        if value and weight is not None:
            found.append((value.lower(), weight))
    return found


def allows_gzip(header: str | None) -> bool:
    """Whether Accept-Encoding allows gzip (RFC 9110, section 12.5.3). Without such a header every coding is allowed."""
    if header is None:
        return True
    accepted = dict(weights(header))
    return accepted.get("gzip", accepted.get("*", 0.0)) > 0


def _weight(parameters: list[str]) -> float | None:
    for parameter in parameters:
        name, equals, value = parameter.partition("=")
        if equals and name.strip().lower() == "q":
            value = value.strip()
            return float(value) if _WEIGHT.fullmatch(value) else None
    return 1.0
