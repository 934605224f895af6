"""Line plots with logarithmic axes as SVG."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 440
LEFT, RIGHT, TOP, BOTTOM = 80, 150, 40, 60  # margins, pixels
COLOURS = ("#1f5fbf", "#c2410c", "#5f6b7a", "#15803d", "#7e22ce", "#b45309")
SUFFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Series:
    """One line: its name in the legend and its points, all coordinates above zero."""

    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """Maps values from `low` to `high` (powers of ten) to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """The pixel of a value."""
        share = math.log10(value / self.low) / math.log10(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def decades(self) -> list[float]:
        """The powers of ten from end to end."""
        first, last = round(math.log10(self.low)), round(math.log10(self.high))
        return [10.0**power for power in range(first, last + 1)]


def plot(title: str, x_title: str, y_title: str, series: Sequence[Series]) -> str:
    """The text of an SVG file; a plot without points has only its axes."""
    xs = [x for line in series for x, _ in line.points] or [1.0]
    ys = [y for line in series for _, y in line.points] or [1.0]
    x_axis = _axis(xs, LEFT, WIDTH - RIGHT)
    y_axis = _axis(ys, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(LEFT, 24, title, size=15),
        *_grid(x_axis, y_axis),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, x_title, anchor="middle"),
        _text(18, (TOP + HEIGHT - BOTTOM) / 2, y_title, anchor="middle", turn=True),
    ]
    for number, line in enumerate(series):
        if line.points:  # a series without points keeps its colour for the other plots
            colour = COLOURS[number % len(COLOURS)]
            parts += [*_line(line, colour, x_axis, y_axis), *_legend(line.name, colour, number)]
    return "\n".join([*parts, "</svg>", ""])


def _axis(values: Sequence[float], start: float, end: float) -> Axis:
    low = 10.0 ** math.floor(math.log10(min(values)))
    high = 10.0 ** math.ceil(math.log10(max(values)))
    return Axis(low, max(high, low * 10), start, end)


def _grid(x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    for value in x_axis.decades():
        x = x_axis.place(value)
        yield _rule(x, TOP, x, HEIGHT - BOTTOM)
        yield _text(x, HEIGHT - BOTTOM + 18, _label(value), anchor="middle")
    for value in y_axis.decades():
        y = y_axis.place(value)
        yield _rule(LEFT, y, WIDTH - RIGHT, y)
        yield _text(LEFT - 8, y + 4, _label(value), anchor="end")


def _line(line: Series, colour: str, x_axis: Axis, y_axis: Axis) -> Iterator[str]:
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in line.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    for (x, y), (value_x, value_y) in zip(places, line.points, strict=True):
        tip = escape(f"{line.name}: {value_x:g}, {value_y:.4g}")
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"><title>{tip}</title></circle>'


def _legend(name: str, colour: str, number: int) -> Iterator[str]:
    x, y = WIDTH - RIGHT + 14, TOP + 10 + 20 * number
    yield f'<line x1="{x}" y1="{y}" x2="{x + 20}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
    yield _text(x + 26, y + 4, name)


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#d5dae0"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", size: int = 12, turn: bool = False) -> str:
    rotate = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turn else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="#1b1f24"{rotate}>'
        f"{escape(text)}</text>"
    )


def _label(value: float) -> str:
    for factor, suffix in SUFFIXES:
        if value >= factor:
            return f"{value / factor:g} {suffix}"
    return f"{value:g}"
