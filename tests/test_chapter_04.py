"""The engine of chapter 04, as the lesson shows it, against the backend on random formulas."""

import contextlib
import itertools

import jupytext
import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import common

LESSON_NAMES = common.lesson_names(
    *("04_backpropagation", "engine", "differentiate", "expressions"),
    itertools=itertools,
    keras=keras,
    np=np,
)
UNARY = ("tanh", "exp", "log")
BINARY = ("add", "subtract", "multiply", "divide")
FORMULAS = st.recursive(
    st.integers(0, 2),
    lambda parts: st.one_of(
        st.tuples(st.sampled_from(UNARY), parts),
        st.tuples(st.sampled_from(BINARY), parts, parts),
    ),
    max_leaves=12,
)
POINTS = st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3)


def engine_gradients(formula, point):
    inputs = [LESSON_NAMES["Value"](number) for number in point]
    output = LESSON_NAMES["evaluate"](formula, inputs, np)
    LESSON_NAMES["backward"](output)
    return np.array([value.grad for value in inputs])


def backend_gradients(formula, point):
    with double_precision():
        return LESSON_NAMES["backend_gradients"](
            lambda tensors: LESSON_NAMES["evaluate"](formula, tensors, keras.ops),
            point,
            dtype="float64",
        )


def double_precision():
    """JAX computes in float32 unless told otherwise."""
    if keras.config.backend() != "jax":
        return contextlib.nullcontext()
    import jax

    return jax.enable_x64(True)


def test_every_operation_is_drawn():
    assert set(LESSON_NAMES["OPERATIONS"]) == {*UNARY, *BINARY}


@settings(max_examples=50, deadline=None)
@given(formula=FORMULAS, point=POINTS)
def test_engine_agrees_with_the_backend(formula, point):
    mine, theirs = engine_gradients(formula, point), backend_gradients(formula, point)
    scale = max(1.0, np.max(np.abs(theirs)))
    assert np.allclose(mine, theirs, rtol=0, atol=1e-9 * scale)


@settings(max_examples=50, deadline=None)
@given(formula=FORMULAS, point=POINTS)
def test_gradients_of_a_formula_used_twice_add_up(formula, point):
    twice = engine_gradients(("multiply", formula, formula), point)
    inputs = [LESSON_NAMES["Value"](number) for number in point]
    height = LESSON_NAMES["evaluate"](formula, inputs, np).data
    once = engine_gradients(formula, point)
    assert np.allclose(twice, 2 * height * once, rtol=1e-9, atol=1e-12)


def test_a_long_chain_needs_no_deep_recursion():
    start = LESSON_NAMES["Value"](1.0)
    output = start
    for _ in range(5000):
        output = output + start
    LESSON_NAMES["backward"](output)
    assert start.grad == 5001


def test_the_engine_is_under_sixty_lines():
    cells = jupytext.read(common.ROOT / "source/lessons/04_backpropagation.py").cells
    engine = [cell.source for cell in cells if "engine" in cell.metadata.get("tags", [])]
    lines = "\n".join(engine).splitlines()
    assert {"class Value:", "def backward(output):"} < set(lines)
    assert len(lines) < 60
