"""The formulas of chapter 09, as the lesson shows them: against Keras, and by their properties."""

import contextlib
import io

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import common
from course_lib import text

TAGS = ("floor", "numbers", "judge", "lstm", "dice", "cut")
with contextlib.redirect_stdout(io.StringIO()):
    NAMES = common.lesson_names("09_recurrent_text", *TAGS, np=np, language=text.grammar())
SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, n=st.integers(1, 3), inputs=st.integers(1, 5), units=st.integers(1, 6))
def test_lstm_step_agrees_with_keras(seed, n, inputs, units):
    rng = np.random.default_rng(seed)
    shapes = [(n, inputs), (n, units), (n, units)]
    x, h, c = (rng.normal(size=shape).astype("float32") for shape in shapes)
    cell = keras.layers.LSTMCell(units)
    cell.build((n, inputs))
    weights = [rng.normal(size=w.shape).astype("float32") for w in cell.get_weights()]
    cell.set_weights(weights)
    _, wanted = cell(x, [h, c])
    for mine, theirs in zip(NAMES["lstm_step"](x, h, c, *weights), wanted, strict=True):
        assert np.allclose(mine, keras.ops.convert_to_numpy(theirs), atol=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, spread=st.floats(0, 5))
def test_no_model_passes_the_floor(seed, spread):
    rng = np.random.default_rng(seed)
    logits = spread * rng.normal(size=(*NAMES["x"].shape, len(NAMES["vocabulary"])))
    assert NAMES["perplexity"](NAMES["log_softmax"](logits)) > NAMES["floor"]


@settings(max_examples=100, deadline=None)
@given(seed=SEEDS, k=st.integers(1, 9), temperature=st.floats(0.1, 5))
def test_dice_keep_the_largest_and_their_order(seed, k, temperature):
    logits = np.random.default_rng(seed).permutation(9).astype(float)
    q = np.exp(NAMES["log_softmax"](NAMES["turned"](logits, temperature, k)))
    assert np.isclose(q.sum(), 1)
    assert set(np.flatnonzero(q > 0)) <= set(np.argsort(logits)[-k:])
    assert np.all(np.diff(q[np.argsort(logits)]) >= 0)


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_colder_dice_are_surer(seed):
    logits = np.random.default_rng(seed).normal(size=9)
    largest = [np.exp(NAMES["log_softmax"](NAMES["turned"](logits, t))).max() for t in (0.5, 1, 2)]
    assert largest[0] > largest[1] > largest[2]


def test_every_sentence_is_cut_back_into_its_words():
    for words in NAMES["language"].sentences:
        tokens = NAMES["cut"]("".join(words))
        assert [NAMES["vocabulary"][i] for i in tokens] == list(words)
