"""Checks: a claim can fail, and an exercise's answer comes with a reason."""

import contextlib
import io
import math
import pathlib
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nbval.plugin import get_sanitize_patterns

from course_lib import checks

SANITIZE = pathlib.Path(__file__).parent / "sanitize.cfg"

numbers = st.floats(-1e6, 1e6)
vectors = st.lists(st.floats(-100, 100), min_size=1, max_size=5).map(np.array)


def said(capsys, check, *args, **options):
    """Call a check and return the one line that it prints."""
    check(*args, **options)
    out = capsys.readouterr().out
    assert out.count("\n") == 1 and out.endswith("\n")
    return out.strip()


# --- claim -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=150)
@given(value=numbers, low=st.none() | numbers, high=st.none() | numbers)
def test_claim_holds_exactly_within_its_band(value, low, high):
    if low is None and high is None:
        return
    inside = (low is None or low <= value) and (high is None or value <= high)
    try:
        checks.claim("x", value, at_least=low, at_most=high)
    except checks.ClaimError:
        assert not inside
    else:
        assert inside


@pytest.mark.parametrize("edge", [0.97, -0.5, 3])
def test_claim_band_includes_its_edges(edge, capsys):
    checks.claim("x", edge, at_least=edge, at_most=edge)
    beyond = float(np.nextafter(float(edge), np.inf))
    with pytest.raises(checks.ClaimError):
        checks.claim("x", beyond, at_most=edge)
    with pytest.raises(checks.ClaimError):
        checks.claim("x", float(edge), at_least=beyond)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, np.float32("nan")])
@pytest.mark.parametrize("band", [{"at_least": 0}, {"at_most": 0}, {"at_least": -1, "at_most": 1}])
def test_claim_about_no_finite_number_fails(value, band, capsys):
    with pytest.raises(checks.ClaimError):
        checks.claim("x", value, **band)
    assert capsys.readouterr().out == ""


def test_claim_without_a_band_is_refused():
    with pytest.raises(ValueError, match=r"band.*Received: neither"):
        checks.claim("x", 1.0)


def test_claim_line_depends_on_the_measured_value_only_where_nbval_does_not_look(capsys):
    [(pattern, replacement)] = get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8"))
    lines = [said(capsys, checks.claim, "loss", v, at_least=0.1, at_most=0.5) for v in (0.1, 0.32)]
    assert lines == ["✓ 0.1 ≤ loss ≤ 0.5: here 0.1", "✓ 0.1 ≤ loss ≤ 0.5: here 0.32"]
    compared = {re.sub(pattern, replacement, line) for line in lines}
    assert compared == {"✓ 0.1 ≤ loss ≤ 0.5: here …"}


@pytest.mark.parametrize(
    "name, percent, expected",
    [
        ("test accuracy", None, "✓ test accuracy ≥ 50.0 %: here 50.0 %"),
        (
            "Accuracy of the median seed",
            None,
            "✓ Accuracy of the median seed ≥ 50.0 %: here 50.0 %",
        ),
        ("share of sevens", None, "✓ share of sevens ≥ 50.0 %: here 50.0 %"),
        ("shared parameters", None, "✓ shared parameters ≥ 0.5: here 0.5"),
        ("loss", None, "✓ loss ≥ 0.5: here 0.5"),
        ("loss", True, "✓ loss ≥ 50.0 %: here 50.0 %"),
        ("test accuracy", False, "✓ test accuracy ≥ 0.5: here 0.5"),
    ],
)
def test_claim_prints_fractions_in_percent(name, percent, expected, capsys):
    assert said(capsys, checks.claim, name, 0.5, at_least=0.5, percent=percent) == expected


def test_claim_about_counted_examples_says_its_error_bar(capsys):
    line = said(capsys, checks.claim, "accuracy", 0.5, at_most=0.6, examples=400)
    assert line.endswith(": here 50.00 ± 4.90 % of 400")


def test_error_bar_is_that_of_a_simulated_experiment():
    right = np.random.default_rng(0).binomial(400, 0.9, size=20_000) / 400
    inside = np.abs(right - 0.9) <= checks.error_bar(0.9, 400)
    assert 0.93 <= inside.mean() <= 0.97


def test_claim_that_fails_names_the_band_and_the_value():
    with pytest.raises(checks.ClaimError, match=r"test accuracy ≥ 99\.0 %.*Received: 97\.123 %"):
        checks.claim("test accuracy", 0.97123, at_least=0.99)
    with pytest.raises(checks.ClaimError, match=r"10 ≤ steps ≤ 20\. Received: 21"):
        checks.claim("steps", 21, at_least=10, at_most=20)


def test_broken_claim_is_an_assertion_error():
    """So that pytest and nbval report it as a failure of the lesson."""
    assert issubclass(checks.ClaimError, AssertionError)


# --- agree -------------------------------------------------------------------------------


@settings(deadline=None)
@given(first=vectors, shift=st.floats(0, 1), tolerance=st.floats(1e-6, 1e-2))
def test_agree_is_the_scaled_largest_difference(first, shift, tolerance):
    other = first.copy()
    other[-1] += shift
    difference = np.abs(other - first).max()
    if abs(difference - tolerance * max(1, np.abs(first).max())) < 1e-12:
        return
    close = difference <= tolerance * max(1, np.abs(first).max())
    try:
        checks.agree("ways", first, first, other, tolerance=tolerance)
    except checks.ClaimError as error:
        assert not close and "ways" in str(error) and "Received" in str(error)
    else:
        assert close


@pytest.mark.parametrize(
    "arrays",
    [
        (np.ones(2), np.ones(3)),
        (np.ones((1, 2)), np.ones(2)),
        (np.ones(2), np.ones(2), np.ones((2, 1))),
        (np.nan, np.nan),
        (1.0, np.nan),
        (np.nan, 1.0),
        (np.inf, np.inf),
        (np.inf, 1.0),
        (1.0, np.inf),
    ],
)
def test_agree_refuses_other_shapes_and_numbers_that_are_not_finite(arrays, capsys):
    with pytest.raises(checks.ClaimError):
        checks.agree("ways", *arrays)
    assert capsys.readouterr().out == ""


def test_agree_needs_two():
    with pytest.raises(ValueError, match="Received: 1"):
        checks.agree("ways", np.ones(2))


def test_agree_prints_one_line(capsys):
    line = said(capsys, checks.agree, "loop and matrix", [1, 2], np.array([1.0, 2.0]))
    assert line == "✓ loop and matrix agree to 1e-05"


# --- value -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "expected", [7850, -0.25, "relu", True, None, np.arange(6).reshape(2, 3), (1, 2.5)]
)
def test_value_blank_and_right(expected, capsys):
    assert said(capsys, checks.value, "it", ..., expected=expected) == "… it: not attempted yet"
    assert said(capsys, checks.value, "it", expected, expected=expected) == "✓ it"


@pytest.mark.parametrize(
    "answer, expected",
    [
        (np.int64(3), 3),
        (3.0, 3),
        (np.float32(0.1), 0.1),
        (np.bool_(True), True),
        (True, np.bool_(True)),
        (np.str_("relu"), "relu"),
        ([[1, 2], [3, 4]], np.array([[1, 2], [3, 4]])),
        (np.array([1.0, 2.0]), (1.0, 2.0)),
        ([1.0, np.ones(2)], (1.0, np.ones(2))),
        ((1.0, [1, 1]), (1.0, np.ones(2))),
    ],
)
def test_value_does_not_mind_the_type_of_a_right_answer(answer, expected, capsys):
    assert said(capsys, checks.value, "it", answer, expected=expected) == "✓ it"


@pytest.mark.parametrize(
    "answer, expected",
    [
        ("7850", 7850),
        (None, 7850),
        (None, np.nan),
        ({}, 7850),
        (len, 7850),
        (7850, "7850"),
        ("relu6", "relu"),
        (1, True),
        (False, True),
        (np.ones(2), np.ones((2, 1))),
        ((1.0, np.ones(2), 0), (1.0, np.ones(2))),
        ((2.0, np.ones(2)), (1.0, np.ones(2))),
        ((1.0, np.zeros(2)), (1.0, np.ones(2))),
        ([1, [[1], [1, 2]]], (1.0, np.ones(2))),
        ([[[1], [2, 3]]], np.ones((2, 2))),
    ],
)
def test_value_wrong_is_answered_and_never_raises(answer, expected, capsys):
    assert said(capsys, checks.value, "it", answer, expected=expected).startswith("✗ it: ")


def test_value_names_each_mistake(capsys):
    mistakes = {"The biases are missing.": 7840, "One layer was left out.": 10, "Text.": "many"}
    for hint, wrong in mistakes.items():
        line = said(capsys, checks.value, "n", wrong, expected=7850, mistakes=mistakes)
        assert line == f"✗ n: {hint}"


@settings(deadline=None)
@given(expected=st.floats(1e-3, 1e6), relative=st.floats(-0.5, 0.5))
def test_value_is_right_within_the_tolerance(expected, relative):

    answer, tolerance = expected * (1 + relative), 1e-2
    difference = abs(answer - expected)
    if abs(difference - tolerance * (1 + expected)) < 1e-9 * expected:
        return
    with contextlib.redirect_stdout(io.StringIO()) as out:
        checks.value("it", answer, expected=expected, tolerance=tolerance)
    assert out.getvalue().startswith("✓") == (difference <= tolerance * (1 + expected))


@pytest.mark.parametrize(
    "answer, expected, words",
    [
        (-2.5, 2.5, "sign"),
        (-np.arange(3), np.arange(3), "sign"),
        (5.0, 2.5, "which is not it"),  # a ratio would give the one number away
        (np.array([1, -1]) / 4, np.array([1.0, -1.0]), "0.25 times"),
        (np.ones((3, 1)), np.ones(3), "shape (3,). Received shape (3, 1)"),
        (np.inf, 1.0, "not finite"),
        ([1.0, np.nan], [1.0, 2.0], "not finite"),
        (None, 1.0, "Received None"),
        ("seven", 7, "Received 'seven'"),
        (0.333333, 1 / 3 + 1e-5, "close"),
        (7849, 7850, "which is not it"),
        (False, True, "Received False"),
        ((1.0, -np.ones(2)), (1.0, np.ones(2)), "Result 2: The sign"),
        ((1.0,), (1.0, np.ones(2)), "Expected 2 results"),
    ],
)
def test_value_says_what_differs(answer, expected, words, capsys):
    line = said(capsys, checks.value, "it", answer, expected=expected)
    assert line.startswith("✗ it: ") and words in line


def test_hints_do_not_give_the_answer_away(capsys):
    for answer in (1.0, "x", None, np.ones(3), True, (1, 2)):
        assert "8.1234" not in said(capsys, checks.value, "it", answer, expected=8.1234)


# --- function ----------------------------------------------------------------------------

CASES = [(np.array([1.0, -2.0]),), (np.array([0.5, 3.0]),)]


def relu(x):
    return np.maximum(x, 0)


def answered(capsys, answer, **options):
    options = {"expected": relu, "cases": CASES, **options}
    return said(capsys, checks.function, "relu", answer, **options)


def blank(x):
    raise NotImplementedError


def test_function_blank_and_right(capsys):
    assert answered(capsys, ...) == answered(capsys, blank) == "… relu: not attempted yet"
    assert answered(capsys, lambda x: x * (x > 0)) == "✓ relu"


def test_function_must_be_right_on_every_case(capsys):
    right_once = [(np.array([1.0]),), (np.array([-1.0]),)]
    assert answered(capsys, lambda x: x, cases=right_once[:1]) == "✓ relu"
    line = answered(capsys, lambda x: x, cases=right_once)
    assert line.startswith("✗ relu: For ([-1.])")


def test_function_names_each_mistake(capsys):
    mistakes = {
        "That is the absolute value.": abs,
        "That is the minimum.": lambda x: np.minimum(x, 0),
        "The slope is 2.": lambda x: 2 * relu(x),
    }
    for hint, wrong in mistakes.items():
        assert answered(capsys, wrong, mistakes=mistakes) == f"✗ relu: {hint}"


@pytest.mark.parametrize(
    "answer, words",
    [
        (lambda x: 1 / 0, "raised ZeroDivisionError"),
        (lambda: 0, "raised TypeError"),
        (7, "raised TypeError"),
        (lambda x: x[:, None], "Received shape (2, 1)"),
        (lambda x: -relu(x), "sign"),
        (lambda x: relu(x) / 2, "0.5 times"),
        (lambda x: None, "Received None"),
        (lambda x: (relu(x), x), "Expected"),
        (lambda x: x + np.nan, "not finite"),
    ],
)
def test_function_wrong_is_answered_with_a_reason(answer, words, capsys):
    line = answered(capsys, answer)
    assert line.startswith("✗ relu: ") and words in line


def test_function_lets_an_interrupt_through(capsys):
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        checks.function("relu", interrupted, expected=relu, cases=CASES)


def test_function_compares_several_results(capsys):
    def value_and_slope(x):
        return float(x.sum()), np.ones_like(x)

    def slope_missing(x):
        return float(x.sum())

    def slope_wrong(x):
        return float(x.sum()), 2 * np.ones_like(x)

    options = {"expected": value_and_slope}
    assert answered(capsys, value_and_slope, **options) == "✓ relu"
    assert "Expected 2 results" in answered(capsys, slope_missing, **options)
    assert "Result 2: It is 2 times" in answered(capsys, slope_wrong, **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: np.array([1.0, 2.0, 3.0]),
        lambda: [1.0, 2.0, 3.0],
        lambda: {"w": np.array([1.0, 2.0, 3.0])},
        lambda: [np.array([1.0, 2.0]), np.array([3.0])],
        lambda: np.random.default_rng(0),
    ],
    ids=["array", "list", "dict of arrays", "list of arrays", "generator"],
)
def test_what_a_learner_does_to_the_inputs_does_not_reach_the_oracle(make, capsys):
    def total(x):
        if isinstance(x, np.random.Generator):
            return x.normal()
        parts = x.values() if isinstance(x, dict) else x
        return float(sum(np.sum(part) for part in parts))

    def total_with_a_side_effect(x):
        answer = total(x)
        if isinstance(x, dict):
            x["w"] *= 0
        elif isinstance(x, list):
            x[0] = x[0] * 0
        elif isinstance(x, np.ndarray):
            x *= 0
        return answer

    case = (make(),)
    line = answered(capsys, total_with_a_side_effect, expected=total, cases=[case, case])
    assert line == "✓ relu"


def test_function_passes_functions_through(capsys):
    line = answered(capsys, lambda f: f(2.0), expected=lambda f: f(2.0), cases=[(math.sqrt,)])
    assert line == "✓ relu"


def test_every_line_starts_with_its_mark(capsys):
    lines = [
        said(capsys, checks.value, "it", answer, expected=1.0) for answer in (1.0, 2.0, "x", ...)
    ]
    assert all(re.match(r"[✓✗…] it", line) for line in lines)


@pytest.mark.parametrize(
    "bound, shown",
    [(0.99, "99.0"), (0.9955, "99.55"), (0.005, "0.5"), (1.0, "100.0"), (0.0, "0.0")],
)
def test_percent_shows_every_digit_of_the_band(bound, shown, capsys):
    assert said(capsys, checks.claim, "accuracy", 1.0, at_least=bound).startswith(
        f"✓ accuracy ≥ {shown} %: "
    )


@pytest.mark.parametrize("answer", ["b", "B", " b "])
def test_a_letter_counts_in_any_case(answer, capsys):
    assert said(capsys, checks.value, "which", answer, expected="b") == "✓ which"


def test_two_mistakes_at_once_name_one_of_them(capsys):
    """Both cases are wrong, each in its own way: the first is told."""
    mistakes = {"twice": lambda x: 2 * x, "negative": lambda x: -x}
    answers = iter([lambda x: 2 * x, lambda x: -x])
    cases = [(np.array([1.0, 2.0, 4.0]),), (np.array([1.0, 3.0, 9.0]),)]
    line = said(
        capsys,
        checks.function,
        "f",
        lambda x: next(answers)(x),
        expected=lambda x: x,
        cases=cases,
        mistakes=mistakes,
    )
    assert line == "✗ f: twice"


@pytest.mark.parametrize("answer", ["(b)", "b.", "answer b", 2])
def test_a_letter_in_another_form_is_asked_for_as_a_letter(answer, capsys):
    line = said(capsys, checks.value, "which", answer, expected="b")
    assert line.startswith('✗ which: Expected one letter, such as "a". Received')


def test_numpy_scalars_are_shown_as_numbers(capsys):
    line = said(capsys, checks.value, "x", np.float64(0.25), expected=0.5)
    assert "np.float64" not in line and "0.25" in line


def test_arrays_of_different_shapes_in_one_answer_are_told_apart(capsys):
    """A wrong answer that no mistake matches gets a line too, not an exception."""
    right = (np.ones((2, 3)), np.ones(3))
    wrong = (np.ones((2, 3)), np.ones(2))
    mistakes = {"twice": lambda: (2 * right[0], right[1])}
    options = {"expected": lambda: right, "cases": [()], "mistakes": mistakes}
    line = said(capsys, checks.function, "f", lambda: wrong, **options)
    assert line == "✗ f: For (): Result 2: Expected shape (3,). Received shape (2,)."
