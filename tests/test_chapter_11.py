"""The transformer as the lesson shows it: no gradient from the future, and an exact cache."""

import types

import jupytext
import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from benchmarks import common

SEEDS = st.integers(0, 2**32 - 1)
PUBLISHED = {  # v, context, d, blocks: the parameters of the released weights
    (50_257, 1024, 768, 12): 124_439_808,
    (50_257, 1024, 1024, 24): 354_823_168,
    (50_257, 1024, 1280, 36): 774_030_080,
    (50_257, 1024, 1600, 48): 1_557_611_200,
}


NAMES = common.lesson_names("11_transformer", "transformer", run=types.SimpleNamespace(seed=0))


@st.composite
def models(draw):
    """A GPT of a random size with random weights, and a generator of random numbers."""
    rng = np.random.default_rng(draw(SEEDS))
    num_heads, head_dim = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    size = {"v": draw(st.integers(2, 9)), "context": draw(st.integers(2, 9))}
    model = NAMES["GPT"](
        **size, d=num_heads * head_dim, num_heads=num_heads, num_layers=draw(st.integers(1, 3))
    )
    model.set_weights([rng.normal(scale=0.5, size=w.shape) for w in model.get_weights()])
    return model, size, rng


@pytest.mark.parametrize("block", ["Block", "RotaryBlock"])
@pytest.mark.parametrize("n", [2, 5, 8])
@pytest.mark.parametrize("seed", range(2))
def test_no_gradient_comes_from_the_future(block, n, seed, monkeypatch):
    monkeypatch.setattr(NAMES["run"], "seed", seed)
    future = np.triu(np.ones((n, n), bool), k=1)
    causal = NAMES["dependence"](NAMES[block], n)
    assert causal[future].max() == 0
    assert causal[~future].min() > 0


@pytest.mark.parametrize("n", [2, 5, 8])
def test_the_gradients_find_a_missing_mask(n):
    future = np.triu(np.ones((n, n), bool), k=1)
    assert NAMES["dependence"](NAMES["OpenBlock"], n)[future].min() > 0


@settings(max_examples=25, deadline=None)
@given(seed=SEEDS, n=st.integers(2, 9), half=st.integers(1, 8))
def test_turned_vectors_score_by_distance_alone(seed, n, half):
    one = np.random.default_rng(seed).normal(size=(2, 1, 1, 1, 2 * half)).astype("float32")
    q, k = (ops.convert_to_numpy(NAMES["turn"](np.tile(part, (1, n, 1, 1)))) for part in one)
    scores = np.einsum("bnhf,bmhf->nm", q, k)
    assert np.allclose(scores[1:, 1:], scores[:-1, :-1], rtol=0, atol=1e-4)
    assert np.allclose(np.linalg.norm(q, axis=-1), np.linalg.norm(one[0]), rtol=1e-5)


@settings(max_examples=25, deadline=None)
@given(problem=models(), data=st.data())
def test_a_changed_future_changes_no_logit_of_the_past(problem, data):
    model, size, rng = problem
    n, v = size["context"], size["v"]
    when = data.draw(st.integers(1, n - 1))
    tokens = rng.integers(0, v, (3, n))
    changed = tokens.copy()
    changed[:, when:] = rng.integers(0, v, (3, n - when))
    before, after = (ops.convert_to_numpy(model(t))[:, :when] for t in (tokens, changed))
    assert np.array_equal(before, after)


@settings(max_examples=25, deadline=None)
@given(problem=models())
def test_numpy_and_keras_agree(problem):
    model, size, rng = problem
    tokens = rng.integers(0, size["v"], (2, size["context"]))
    by_hand, _ = NAMES["gpt_by_hand"](tokens, NAMES["weights_of"](model))
    with keras.device("cpu:0"):
        in_keras = ops.convert_to_numpy(model(tokens))
    assert np.allclose(by_hand, in_keras, rtol=0, atol=1e-4 * max(1, np.abs(by_hand).max()))


@settings(max_examples=40, deadline=None)
@given(problem=models(), data=st.data())
def test_any_cut_into_parts_gives_the_same_logits(problem, data):
    model, size, rng = problem
    n = size["context"]
    tokens, weights = rng.integers(0, size["v"], (2, n)), NAMES["weights_of"](model)
    at_once, _ = NAMES["gpt_by_hand"](tokens, weights)
    cuts = sorted(data.draw(st.sets(st.integers(1, n - 1))))
    caches, parts = None, []
    for part in np.split(tokens, cuts, axis=1):
        logits, caches = NAMES["gpt_by_hand"](part, weights, caches)
        parts.append(logits)
    assert np.allclose(np.concatenate(parts, axis=1), at_once, rtol=0, atol=1e-9)


@settings(max_examples=40, deadline=None)
@given(problem=models(), data=st.data())
def test_cached_and_uncached_writing_agree_token_for_token(problem, data):
    model, size, rng = problem
    length = data.draw(st.integers(1, size["context"] - 1))
    temperature = data.draw(st.sampled_from([0.3, 1.0, 2.0]))
    prompt = rng.integers(0, size["v"], (4, size["context"] - length))
    dice, weights = rng.random((4, length)), NAMES["weights_of"](model)
    slow, quick = (
        NAMES["write"](weights, prompt, dice, cached=cached, temperature=temperature)
        for cached in (False, True)
    )
    assert np.array_equal(slow, quick)
    assert quick.shape == (4, size["context"])
    assert np.array_equal(quick[:, : prompt.shape[1]], prompt)


@settings(max_examples=25, deadline=None)
@given(problem=models())
def test_the_formula_counts_every_parameter(problem):
    model, size, _ = problem
    d, num_layers = model.tokens.output_dim, len(model.blocks)
    assert NAMES["num_parameters"](**size, d=d, num_layers=num_layers) == model.count_params()


@pytest.mark.parametrize(("size", "published"), PUBLISHED.items())
def test_the_formula_gives_gpt_2(size, published):
    assert NAMES["num_parameters"](*size) == published


def test_the_model_is_about_a_hundred_lines():
    cells = jupytext.read(common.ROOT / "source/lessons/11_transformer.py", fmt="py:percent").cells
    names = ("class Attention", "class MLP", "class Block", "class GPT")
    classes = [cell.source for cell in cells if cell.source.startswith(names)]
    assert len(classes) == len(names)
    assert 40 < len("\n".join(classes).splitlines()) <= 100
