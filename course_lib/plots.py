"""The one figure style. Takes arrays and axes, never models; every figure says what it shows."""

import base64
import io

import matplotlib
import numpy as np
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers can tell apart, each with its own
# line style and marker, so that nothing is told by colour alone.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 2)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DPI = 144

STYLE = {
    "figure.facecolor": "white",
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.prop_cycle": matplotlib.cycler(color=COLORS, linestyle=LINES),
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "image.cmap": "gray",
}


def figure(rows=1, columns=1, *, width=7.0, height=2.8, **options):
    """Make a figure in the course's style.

    Args:
        rows, columns: int, the grid of axes.
        width: inches, of the whole figure.
        height: inches, of each row.
        **options: passed to `matplotlib.figure.Figure.subplots`, such as `sharey=True`.

    Returns:
        `(figure, axes)`: the axes alone for 1×1, else an array (rows,), (columns,) or
        (rows, columns).

    Example:

    >>> fig, axes = figure(1, 2)
    >>> axes.shape
    (2,)
    """
    with matplotlib.rc_context(STYLE):
        fig = Figure(figsize=(width, height * rows), layout="constrained")
        FigureCanvasAgg(fig)
        axes = fig.subplots(rows, columns, **options)
    return fig, axes


def show(fig, description):
    """Show a finished figure: the picture, and under it the sentence that says what it found.

    Args:
        fig: matplotlib `Figure`.
        description: str, one sentence that states the finding. It becomes the picture's
            alternative text and its caption.

    Raises:
        ValueError: the description is empty.

    Example:

    >>> fig, axes = figure()
    >>> show(fig, " ")
    Traceback (most recent call last):
    ...
    ValueError: A figure needs a sentence that states its finding. Received: none.
    """
    description = " ".join(description.split())  # a blank beside the stars ends the italics
    if not description:
        raise ValueError("A figure needs a sentence that states its finding. Received: none.")
    width = int(fig.get_size_inches()[0] * 96)
    display(
        {"image/png": base64.b64encode(png(fig)).decode(), "text/plain": description},
        metadata={"image/png": {"alt": description, "width": width}},
        raw=True,
    )
    display({"text/markdown": f"*{description}*", "text/plain": description}, raw=True)


def png(fig, dpi=DPI):
    """Render a figure.

    Args:
        fig: matplotlib `Figure`.
        dpi: pixels an inch.

    Returns:
        bytes of a PNG file.

    Example:

    >>> png(figure()[0])[1:4]
    b'PNG'
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        fig.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def lines(axes, x, series, *, xlabel, ylabel, **options):
    """Draw named series over one x, each with its own colour and line style.

    Args:
        axes: matplotlib `Axes`.
        x: array (n,).
        series: dict from a name to an array (n,); a NaN leaves a gap.
        xlabel, ylabel: str, with units.
        **options: passed to `Axes.set`, such as `yscale="log"`, `title=...`.

    Example:

    >>> fig, axes = figure()
    >>> lines(axes, [1, 2], {"loss": [0.5, 0.2]}, xlabel="epoch", ylabel="loss (nats)")
    >>> axes.get_xlabel()
    'epoch'
    """
    with matplotlib.rc_context(STYLE):
        for index, (name, y) in enumerate(series.items()):
            line = LINES[(index + index // 7) % 7]  # an eighth series differs from the first
            style = {"color": COLORS[index % 7], "linestyle": line}
            marker = MARKERS[index % 7] if len(x) <= 30 else None
            axes.plot(x, y, label=name, marker=marker, markersize=4, **style)
        if len(series) > 1:
            axes.legend()
        axes.set(xlabel=xlabel, ylabel=ylabel, **options)


def curves(history, *, title=None):
    """Draw the loss, and the accuracy where there is one, of a training history.

    Args:
        history: pandas DataFrame, a row an epoch, as in `training.Result.history`.
        title: str or `None`.

    Returns:
        matplotlib `Figure`; end with `plots.show(figure, "what it shows")`.

    Example:

    >>> import pandas as pd
    >>> fig = curves(pd.DataFrame({"epoch": [1, 2], "loss": [0.5, 0.2]}))
    >>> len(fig.axes)
    1
    """
    panels = [name for name in ("loss", "accuracy") if name in history]
    fig, axes = figure(1, len(panels), squeeze=False)
    for name, panel in zip(panels, axes[0], strict=True):
        series = {"training": history[name]}
        if f"val_{name}" in history:
            series["validation"] = history[f"val_{name}"]
        unit = " (nats)" if name == "loss" else ""
        lines(panel, history["epoch"], series, xlabel="epoch", ylabel=name + unit)
    fig.suptitle(title, fontsize=10, fontweight="bold")
    return fig


def images(pictures, titles=None, *, columns=10, size=0.7, limits=(None, None)):
    """Lay pictures out in a grid.

    Args:
        pictures: array (n, height, width) or (n, height, width, 3), any range.
        titles: list of n str, or `None`.
        columns: int, pictures a row.
        size: inches, of one picture.
        limits: (lowest, highest), the greys shown as black and as white; each picture's
            own where `None`.

    Returns:
        matplotlib `Figure`; end with `plots.show(figure, "what it shows")`.

    Example:

    >>> fig = images(np.zeros((3, 28, 28)), ["a", "b", "c"], columns=3)
    >>> len(fig.axes)
    3
    """
    rows = -(-len(pictures) // columns)
    height = size * (1.35 if titles else 1.0)
    fig, axes = figure(rows, columns, width=columns * size, height=height, squeeze=False)
    for index, panel in enumerate(axes.flat):
        panel.set_axis_off()
        if index < len(pictures):
            low, high = limits
            panel.imshow(pictures[index], cmap="gray", interpolation="nearest", vmin=low, vmax=high)
            if titles:
                panel.set_title(titles[index], fontsize=8, fontweight="normal")
    return fig


def matrix(axes, values, row_names, column_names, *, xlabel, ylabel, digits=0):
    """Draw a matrix with its numbers written in, such as a confusion matrix.

    Args:
        axes: matplotlib `Axes`.
        values: array (rows, columns).
        row_names, column_names: lists of str.
        xlabel, ylabel: str, what columns and rows are.
        digits: int, decimals of the written numbers.

    Example:

    >>> fig, axes = figure()
    >>> matrix(axes, np.eye(2), ["a", "b"], ["a", "b"], xlabel="predicted", ylabel="true")
    >>> len(axes.texts)
    4
    """
    values = np.asarray(values)
    axes.imshow(values, cmap="Blues", aspect="auto")
    middle = (values.max() + values.min()) / 2
    for (row, column), number in np.ndenumerate(values):
        color = "white" if number > middle else "black"
        text = f"{number:.{digits}f}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.grid(False)
    axes.set_xticks(range(len(column_names)), column_names)
    axes.set_yticks(range(len(row_names)), row_names)
    axes.set(xlabel=xlabel, ylabel=ylabel)
