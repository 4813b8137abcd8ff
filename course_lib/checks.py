"""Claims in lessons, and the checks that answer an exercise with a reason."""

import copy
import re

import numpy as np


class ClaimError(AssertionError):
    """A lesson claims something that this run does not show."""


def claim(name, value, *, at_least=None, at_most=None, percent=None, examples=None):
    """Check a measured value against its band; print both.

    The line up to "here" is the same on every machine, and so are the tests' comparisons; what
    follows is what this run measured.

    Args:
        name: str, what was measured. A name that says "accuracy" or "share" is a fraction
            and is printed in percent.
        value: number, what this run measured.
        at_least: lower end of the band, or `None`.
        at_most: upper end of the band, or `None`.
        percent: bool, overrides the rule on the name.
        examples: int, how many examples an accuracy was measured on. The line then also
            says its error bar, see `error_bar`.

    Raises:
        ClaimError: the value is outside the band, or is not a finite number.
        ValueError: no band is given.

    Example:

    >>> claim("test accuracy", 0.9912, at_least=0.99)
    ✓ test accuracy ≥ 99.0 %: here 99.12 %
    >>> claim("steps to converge", 12, at_least=10, at_most=20)
    ✓ 10 ≤ steps to converge ≤ 20: here 12
    >>> claim("test accuracy", 0.9912, at_least=0.99, examples=10_000)
    ✓ test accuracy ≥ 99.0 %: here 99.12 ± 0.18 % of 10,000
    """
    if at_least is None and at_most is None:
        raise ValueError("A claim needs a band: at_least=, at_most= or both. Received: neither.")
    if percent is None:
        percent = re.search(r"accuracy|\bshare\b", name.lower()) is not None
    lower = f"{_show(at_least, percent)} ≤ " if at_least is not None else ""
    upper = f" ≤ {_show(at_most, percent)}" if at_most is not None else ""
    statement = f"{lower}{name}{upper}" if lower and upper else f"{name}{upper}"
    if lower and not upper:
        statement = f"{name} ≥ {_show(at_least, percent)}"
    value = float(value)
    above = at_least is None or value >= at_least
    below = at_most is None or value <= at_most
    if not (np.isfinite(value) and above and below):
        raise ClaimError(f"Expected {statement}. Received: {_show(value, percent, digits=6)}.")
    measured = _show(int(value) if value.is_integer() else value, percent)
    if examples is not None:
        bar = 100 * error_bar(value, examples)
        measured = f"{100 * value:.2f} ± {bar:.2f} % of {examples:,}"
    print(f"✓ {statement}: here {measured}")


def error_bar(accuracy, num_examples):
    """Half the width of an accuracy's 95 % interval.

    Args:
        accuracy: float or array from 0 to 1, the share of right answers.
        num_examples: int, how many independent examples it was measured on.

    Returns:
        float or array, 1.96 standard errors, as a fraction like the accuracy.

    Example:

    >>> round(float(error_bar(0.99, 10_000)), 4)
    0.002

    Source: the normal approximation of the binomial; too narrow within a few examples of 0 or 1.
    """
    return 1.96 * np.sqrt(accuracy * (1 - accuracy) / num_examples)


def agree(name, *arrays, tolerance=1e-5):
    """Check that several ways to compute the same thing give the same arrays.

    Args:
        name: str, the ways, for example `"loop, matrix and layer"`.
        *arrays: two or more arrays of one shape.
        tolerance: largest absolute difference between any and the first, scaled by the
            first's largest magnitude where that exceeds 1.

    Raises:
        ClaimError: shapes differ, a value is not finite, or the difference is too large.
        ValueError: fewer than two arrays.

    Example:

    >>> agree("sum and loop", np.sum([1.0, 2.0]), 3.0)
    ✓ sum and loop agree to 1e-05
    """
    if len(arrays) < 2:
        raise ValueError(f"agree() compares two or more arrays. Received: {len(arrays)}.")
    first, *others = [np.asarray(array, dtype="float64") for array in arrays]
    for other in others:
        if other.shape != first.shape:
            raise ClaimError(f"{name}: expected one shape. Received: {first.shape}, {other.shape}.")
        if not (np.isfinite(first).all() and np.isfinite(other).all()):
            raise ClaimError(f"{name}: expected finite values. Received: NaN or infinity.")
        difference = np.max(np.abs(other - first), initial=0.0)
        if not difference <= tolerance * max(1.0, np.max(np.abs(first), initial=0.0)):
            raise ClaimError(
                f"{name}: expected agreement to {tolerance:g}. Received: {difference:.3g}."
            )
    print(f"✓ {name} agree to {tolerance:g}")


def value(name, answer, *, expected, mistakes=None, tolerance=1e-6):
    """Answer one value of an exercise: right, not attempted, or wrong and why.

    Args:
        name: str, the question in a few words.
        answer: the learner's value; `...` counts as not attempted.
        expected: number, string, or array, computed by an oracle rather than typed in.
        mistakes: dict from a hint to the wrong value that earns it.
        tolerance: relative tolerance for numbers, absolute below 1.

    Prints one line, and raises nothing: a learner's notebook runs to its end.

    Example:

    >>> value("parameters", 7850, expected=7850, mistakes={"The biases are missing.": 7840})
    ✓ parameters
    >>> value("parameters", 7840, expected=7850, mistakes={"The biases are missing.": 7840})
    ✗ parameters: The biases are missing.
    >>> value("parameters", ..., expected=7850)
    … parameters: not attempted yet
    """
    if answer is ...:
        return _not_attempted(name)
    if _matches(answer, expected, tolerance):
        return _right(name)
    for hint, wrong in (mistakes or {}).items():
        if _matches(answer, wrong, tolerance):
            return _wrong(name, hint)
    return _wrong(name, _what_differs(answer, expected, tolerance))


def function(name, answer, *, expected, cases, mistakes=None, tolerance=1e-6):
    """Answer a function of an exercise by calling it beside an oracle on every case.

    Args:
        name: str, the question in a few words.
        answer: the learner's function; one that raises `NotImplementedError` is not attempted.
        expected: the oracle, a function of the same arguments.
        cases: list of argument tuples. Each call gets its own copies.
        mistakes: dict from a hint to the wrong function that earns it.
        tolerance: relative tolerance for numbers, absolute below 1.

    Prints one line, and raises nothing: a learner's notebook runs to its end.

    Example:

    >>> slope = lambda x: 2 * x
    >>> function("slope", lambda x: x, expected=slope, cases=[(1.0,), (3.0,)],
    ...          mistakes={"A factor of 2 is missing.": lambda x: slope(x) / 2})
    ✗ slope: A factor of 2 is missing.
    """
    if answer is ...:
        return _not_attempted(name)
    received = []
    for case in cases:
        try:
            received.append(answer(*_copies(case)))
        except NotImplementedError:
            return _not_attempted(name)
        except Exception as error:  # the learner's code: whatever it raises is the answer
            return _wrong(name, f"Your function raised {type(error).__name__}: {error}")
    wanted = [expected(*_copies(case)) for case in cases]
    if all(_matches(r, w, tolerance) for r, w in zip(received, wanted, strict=True)):
        return _right(name)
    for hint, wrong in (mistakes or {}).items():
        results = [wrong(*_copies(case)) for case in cases]
        if all(_matches(r, w, tolerance) for r, w in zip(received, results, strict=True)):
            return _wrong(name, hint)
    pairs = zip(cases, received, wanted, strict=True)
    case, got, want = next(p for p in pairs if not _matches(p[1], p[2], tolerance))
    for hint, wrong in (mistakes or {}).items():  # two mistakes at once: name one of them
        numbers = sum(np.size(part) for part in _as_parts(want))
        if numbers > 2 and _matches(got, wrong(*_copies(case)), tolerance):
            return _wrong(name, hint)
    arguments = ", ".join(_brief(argument) for argument in case)
    return _wrong(name, f"For ({arguments}): {_what_differs(got, want, tolerance)}")


def _right(name):
    print(f"✓ {name}")


def _wrong(name, hint):
    print(f"✗ {name}: {hint}")


def _not_attempted(name):
    print(f"… {name}: not attempted yet")


def _copies(case):
    return [a if callable(a) else copy.deepcopy(a) for a in case]


def _as_parts(thing):
    """A tuple or list of arrays of different shapes is compared part by part."""
    if isinstance(thing, (tuple, list)) and any(_has_axes(part) for part in thing):
        return list(thing)
    return [thing]


def _has_axes(part):
    return isinstance(part, (tuple, list)) or len(getattr(part, "shape", ())) > 0


def _matches(answer, expected, tolerance):
    if _same(answer, expected, tolerance):
        return True
    answers, wanted = _as_parts(answer), _as_parts(expected)
    if len(answers) != len(wanted):
        return False
    return all(_same(a, w, tolerance) for a, w in zip(answers, wanted, strict=True))


def _same(answer, expected, tolerance):
    if isinstance(expected, str):  # "B" and " b" answer as "b" does
        return isinstance(answer, str) and answer.strip().casefold() == expected.casefold()
    for kind in ((bool, np.bool_), type(None)):
        if isinstance(expected, kind):
            return isinstance(answer, kind) and bool(answer == expected)
    answer = _numeric(answer)
    expected = _numeric(expected)
    if answer is None or expected is None or answer.shape != expected.shape:
        return False
    return bool(np.allclose(answer, expected, rtol=tolerance, atol=tolerance, equal_nan=True))


def _numeric(thing):
    try:
        array = np.asarray(thing)
        if thing is None or array.dtype.kind in "US":  # NumPy reads None as NaN and "3" as 3
            return None
        return array.astype("float64")
    except Exception:  # a ragged list, a function, a tensor that won't be read: not a number
        return None


def _what_differs(answer, expected, tolerance):
    answers, wanted = _as_parts(answer), _as_parts(expected)
    if isinstance(expected, (tuple, list)) and len(wanted) > 1:
        if len(answers) != len(wanted):
            return f"Expected {len(wanted)} results. Received {_brief(answer)}."
        parts = enumerate(zip(answers, wanted, strict=True), start=1)
        number, (part, right) = next(p for p in parts if not _matches(*p[1], tolerance))
        return f"Result {number}: {_what_differs(part, right, tolerance)}"
    got, want = _numeric(answer), _numeric(expected)
    if want is None:
        one_letter = isinstance(answer, str) and len(answer.strip()) == 1
        if isinstance(expected, str) and len(expected) == 1 and not one_letter:
            return f'Expected one letter, such as "a". Received {_brief(answer)}.'
        return f"Received {_brief(answer)}, which is not it."
    if got is None:
        return f"Expected a number or an array of numbers. Received {_brief(answer)}."
    if got.shape != want.shape:
        return f"Expected shape {want.shape}. Received shape {got.shape}."
    if not np.all(np.isfinite(got)) and np.all(np.isfinite(want)):
        return "The result is not finite: look for an overflow, a division by 0, a logarithm of 0."
    if np.allclose(got, -want, rtol=1e-4):
        return "The sign is the wrong way round."
    if np.allclose(got, want, rtol=1e-4) and np.any(got % 1):
        return f"Received {_brief(answer)}, which is close. Is something rounded?"
    # For one number there always is a ratio: it would give the answer away.
    ratio = (got * want).sum() / (want**2).sum() if want.size > 1 and want.any() else 0
    if ratio and abs(ratio - 1) > 1e-3 and np.allclose(got, ratio * want, rtol=1e-4):
        return f"It is {ratio:.4g} times what it should be."
    return f"Received {_brief(answer)}, which is not it. Compute one case by hand."


def _brief(thing):
    thing = thing.item() if isinstance(thing, np.generic) else thing
    array = _numeric(thing)
    if array is None or isinstance(thing, (bool, int, float)):
        text = getattr(thing, "__name__", None) or repr(thing)
        return text if len(text) < 60 else text[:57] + "..."
    if array.size <= 6:
        return np.array2string(array, precision=4, separator=", ")
    return f"an array of shape {array.shape}"


def _show(number, percent, digits=4):
    if percent:
        text = f"{100 * number:.{digits}g}"
        return f"{text if '.' in text or 'e' in text else text + '.0'} %"
    if isinstance(number, (int, np.integer)):
        return f"{number:,}"
    return f"{number:,.{digits}g}"
