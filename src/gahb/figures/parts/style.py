"""How figures look: one style file, one colour and one marker per training set size.

Colours run from light (small training sets) to dark (large ones) along viridis, whose luminance
is monotone and which readers of every common kind of colour vision can order; markers and line
styles repeat what the colours say, so that nothing is lost in a grayscale print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the workflow reads the options of figures without matplotlib
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

STYLE_FILE = Path(__file__).with_name("style.mplstyle")
PAGE_WIDTH = 7.0  # inches: the text width of a page; no figure is wider
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LIGHTEST, _DARKEST = 0.86, 0.05  # of viridis: beyond .86 it is too pale on white paper

Colour = tuple[float, float, float]


@contextmanager
def figure_style() -> Iterator[None]:
    """Apply the style file over matplotlib's own defaults; a user's matplotlibrc has no say."""
    import matplotlib.style

    with matplotlib.style.context(STYLE_FILE, after_reset=True):
        yield


def page(
    height: float,
    title: str | None = None,
    below: float | None = None,
    width: float = PAGE_WIDTH,
) -> Figure:
    """An empty figure.

    Args:
        height: in inches.
        title: above it, in one line: smaller where it would be wider than the page.
        below: inches from the upper edge to the title, where no layout engine places it.
        width: in inches; a page's, unless said otherwise.
    """
    import matplotlib
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    figure = Figure(figsize=(width, height))
    if title is None or not title.strip():
        return figure
    font = FontProperties(size=matplotlib.rcParams["figure.titlesize"])
    points = TextPath((0, 0), title, prop=font).get_extents().width
    font.set_size(font.get_size_in_points() * min(1, 72 * (width - 0.1) / max(points, 1)))
    place = {} if below is None else {"y": 1 - below / height, "va": "top"}
    figure.suptitle(title, fontproperties=font, **place)
    return figure


def page_over_legends(height: float, below: float, title: str) -> Figure:
    """An empty figure with room for legends: the lowest ``below`` inches of its ``height``."""
    figure = page(height, title)
    figure.set_layout_engine("constrained", rect=(0, below / height, 1, 1 - below / height))
    return figure


def legends(figure: Figure, rows: Mapping[float, Sequence[Any]], per_row: int) -> None:
    """Legends below the axes, each at a height in inches above the lower edge."""
    for height, handles in rows.items():
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, height / figure.get_figheight()),
            ncols=min(max(len(handles), 1), per_row),
        )


def line(label: str, **style: Any) -> Line2D:
    """What stands for a line in a legend."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **style)


def patch(label: str, **style: Any) -> Patch:
    """What stands for an area in a legend."""
    from matplotlib.patches import Patch

    return Patch(label=label, **style)


def ordered_colours(count: int) -> list[Colour]:
    """``count`` colours of strictly falling luminance, for an ordered quantity."""
    step = (_DARKEST - _LIGHTEST) / max(count - 1, 1)
    first = _LIGHTEST if count > 1 else _DARKEST
    import matplotlib

    colour_map = matplotlib.colormaps["viridis"]
    rgba = [colour_map(first + step * place) for place in range(count)]
    return [(red, green, blue) for red, green, blue, _ in rgba]


def luminance(colour: Colour) -> float:
    """Relative luminance of an sRGB colour in [0, 1] (WCAG 2 definition)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def markers(count: int) -> list[str]:
    """``count`` marker shapes, all different up to nine and repeating after."""
    return [MARKERS[place % len(MARKERS)] for place in range(count)]


def two_colours() -> tuple[Colour, Colour]:
    """A lighter and a darker colour, both dark enough for small dots."""
    _, lighter, _, darker = ordered_colours(4)
    return lighter, darker


def spread(heights: Sequence[float], distance: float) -> list[float]:
    """Move label heights apart until neighbours are ``distance`` apart, staying near their lines.

    Args:
        heights: wanted heights, in any order.
        distance: smallest allowed distance, same unit.

    Returns:
        Heights in the order given. Labels that would collide are stacked and centred on the mean
        of the heights they were wanted at.
    """
    order = sorted(range(len(heights)), key=lambda place: heights[place])
    stacks: list[list[int]] = []
    for place in order:
        stacks.append([place])
        while len(stacks) > 1 and _bottom(stacks[-1], heights, distance) < (
            _bottom(stacks[-2], heights, distance) + distance * len(stacks[-2])
        ):
            stacks[-2:] = [stacks[-2] + stacks[-1]]
    moved = list(heights)
    for stack in stacks:
        bottom = _bottom(stack, heights, distance)
        for level, place in enumerate(stack):
            moved[place] = bottom + distance * level
    return moved


def _bottom(stack: list[int], heights: Sequence[float], distance: float) -> float:
    mean = sum(heights[place] for place in stack) / len(stack)
    return mean - distance * (len(stack) - 1) / 2
