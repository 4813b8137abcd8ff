"""Figures are checked through their data, not their pixels."""

import base64
import io

import matplotlib.image
import numpy as np
import pandas as pd
import pytest

from course_lib import plots


@pytest.fixture
def shown(monkeypatch):
    """What was displayed: a list of (bundle, metadata)."""
    calls = []

    def display(bundle, *, metadata=None, raw=False):
        assert raw
        calls.append((bundle, metadata))

    monkeypatch.setattr(plots, "display", display)
    return calls


def test_show_gives_picture_alternative_text_and_caption(shown):
    fig, axes = plots.figure()
    axes.plot([0, 1], [1, 0])
    sentence = "The loss falls to zero."
    plots.show(fig, sentence)
    (picture, metadata), (caption, _) = shown
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(picture["image/png"])))
    assert pixels.ndim == 3 and pixels.min() < pixels.max()
    assert metadata["image/png"]["alt"] == sentence
    assert picture["text/plain"] == caption["text/plain"] == sentence
    assert caption["text/markdown"].strip("*") == sentence
    assert caption["text/markdown"] == f"*{sentence}*"


def test_show_width_is_that_of_the_figure(shown):
    fig, _ = plots.figure(width=5)
    plots.show(fig, "Wide.")
    assert shown[0][1]["image/png"]["width"] == 5 * 96


def test_caption_stays_italic_when_the_sentence_was_indented(shown):
    fig, _ = plots.figure()
    plots.show(
        fig,
        """ The loss
        falls. """,
    )
    assert shown[1][0]["text/markdown"] == "*The loss falls.*"


@pytest.mark.parametrize("empty", ["", " ", "\n\t"])
def test_show_needs_a_sentence(empty, shown):
    fig, _ = plots.figure()
    with pytest.raises(ValueError, match="sentence"):
        plots.show(fig, empty)
    assert shown == []


@pytest.mark.parametrize("n, markers", [(5, True), (30, True), (31, False), (200, False)])
def test_lines_draw_what_they_are_given(n, markers):
    rng = np.random.default_rng(0)
    x, series = np.arange(n), {name: rng.normal(size=n) for name in "abc"}
    _, axes = plots.figure()
    plots.lines(axes, x, series, xlabel="step", ylabel="loss (nats)", yscale="symlog")
    assert len(axes.lines) == 3
    for line, (name, y) in zip(axes.lines, series.items(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), x)
        np.testing.assert_array_equal(line.get_ydata(), y)
        assert line.get_label() == name
        assert (line.get_marker() not in (None, "None", "")) == markers
    assert [t.get_text() for t in axes.get_legend().get_texts()] == list("abc")
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_yscale()) == (
        *("step", "loss (nats)"),
        "symlog",
    )


def test_one_series_needs_no_legend():
    _, axes = plots.figure()
    plots.lines(axes, [0, 1], {"loss": [1, 0]}, xlabel="x", ylabel="y")
    assert axes.get_legend() is None


def dashes(line):
    return str(line._unscaled_dash_pattern)  # what is drawn: get_linestyle() says "--" for all


@pytest.mark.parametrize("num_points", [5, 100])
def test_no_line_is_told_by_colour_alone(num_points):
    _, axes = plots.figure()
    series = {str(i): np.full(num_points, i) for i in range(7)}
    plots.lines(axes, np.arange(num_points), series, xlabel="x", ylabel="y")
    assert len({dashes(line) for line in axes.lines}) == 7
    assert len({line.get_color() for line in axes.lines}) == 7


def test_an_eighth_line_is_not_drawn_like_the_first():
    _, axes = plots.figure()
    series = {str(i): np.full(50, i) for i in range(14)}
    plots.lines(axes, np.arange(50), series, xlabel="x", ylabel="y")
    assert len({(dashes(line), line.get_color()) for line in axes.lines}) == 14


def test_axes_cycle_of_a_figure_also_changes_line_style():
    """For lessons that draw with matplotlib's own `plot`."""
    _, axes = plots.figure()
    for i in range(7):
        axes.plot([0, 1], [i, i])
    assert len({dashes(line) for line in axes.lines}) == 7


def test_a_gap_stays_a_gap():
    _, axes = plots.figure()
    plots.lines(axes, [1, 2, 3], {"a": [1, np.nan, 3]}, xlabel="x", ylabel="y")
    assert np.isnan(axes.lines[0].get_ydata()[1])


@pytest.mark.parametrize("rows, columns, shape", [(1, 3, (3,)), (3, 1, (3,)), (2, 3, (2, 3))])
def test_figure_has_the_grid_asked_for(rows, columns, shape):
    fig, axes = plots.figure(rows, columns, width=6, height=2)
    assert axes.shape == shape and len(fig.axes) == rows * columns
    assert fig.get_size_inches().tolist() == [6, 2 * rows]


def test_figure_leaves_matplotlibs_own_settings_alone():
    before = dict(matplotlib.rcParams)
    plots.png(plots.figure()[0])
    assert dict(matplotlib.rcParams) == before


def test_curves_draw_the_history():
    history = pd.DataFrame(
        {
            **{"epoch": [1, 2, 3], "loss": [0.9, 0.5, 0.4], "accuracy": [0.5, 0.7, 0.8]},
            **{"val_loss": [1.0, 0.6, 0.7], "seconds": [1, 2, 3]},
        }
    )
    fig = plots.curves(history, title="MLP")
    loss, accuracy = fig.axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].get_ydata().tolist() == [0.9, 0.5, 0.4]
    assert loss.lines[1].get_ydata().tolist() == [1.0, 0.6, 0.7]
    assert [line.get_ydata().tolist() for line in accuracy.lines] == [[0.5, 0.7, 0.8]]
    assert loss.lines[0].get_xdata().tolist() == [1, 2, 3]
    assert loss.get_ylabel().startswith("loss") and accuracy.get_ylabel() == "accuracy"
    assert fig.get_suptitle() == "MLP"


@pytest.mark.parametrize("shape", [(7, 4, 5), (7, 4, 5, 3)])
def test_images_lie_in_a_grid_in_order(shape):
    pictures = np.random.default_rng(0).integers(0, 256, shape, dtype="uint8")
    titles = [f"number {i}" for i in range(7)]
    fig = plots.images(pictures, titles, columns=3)
    assert len(fig.axes) == 9 and not any(axes.axison for axes in fig.axes)
    for axes, picture, title in zip(fig.axes, pictures, titles, strict=False):
        np.testing.assert_array_equal(axes.images[0].get_array(), picture)
        assert axes.get_title() == title
    assert all(not axes.images and not axes.get_title() for axes in fig.axes[7:])
    tops = [round(axes.get_subplotspec().rowspan.start) for axes in fig.axes]
    assert tops == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_matrix_writes_every_number_where_it_belongs():
    values = np.array([[50, 2, 0], [1, 40, 9]])
    _, axes = plots.figure()
    plots.matrix(axes, values, ["cat", "dog"], ["a", "b", "c"], xlabel="predicted", ylabel="true")
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    written = {text.get_position(): text.get_text() for text in axes.texts}
    assert written == {(c, r): str(values[r, c]) for r in range(2) for c in range(3)}
    assert [t.get_text() for t in axes.get_xticklabels()] == ["a", "b", "c"]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "dog"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "true")


def test_matrix_numbers_can_be_read_on_their_ground():
    """Dark cells have light text and the other way round, judged by the drawn colours."""
    values = np.linspace(0, 1, 12).reshape(3, 4)
    _, axes = plots.figure()
    plots.matrix(axes, values, list("abc"), list("abcd"), xlabel="x", ylabel="y", digits=2)
    picture = axes.images[0]
    ground = picture.to_rgba(values)[..., :3].mean(-1)
    for text in axes.texts:
        column, row = text.get_position()
        ink = {"white": 1.0, "black": 0.0}[text.get_color()]
        assert abs(ink - ground[row, column]) > 0.35
        assert text.get_text() == f"{values[row, column]:.2f}"
