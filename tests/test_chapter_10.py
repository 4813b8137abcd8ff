"""Attention as the lesson shows it, against Keras, on random shapes, heads and masks."""

import keras
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

from benchmarks import common

TOLERANCE = 1e-5
NAMES = common.lesson_names(
    "10_attention", "attention", "positions", "layer", np=np, keras=keras, layers=layers, ops=ops
)
LENGTHS = st.integers(1, 7)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def problems(draw):
    """Words that look, words looked at, parameters, heads, and a mask with no empty row."""
    rng = np.random.default_rng(draw(SEEDS))
    # With heads of one feature Keras 3.15 on TensorFlow adds the bias along the wrong axis: its
    # `add` takes a bias of shape (heads, 1) for a vector. So heads here have two or more.
    num_heads, head_dim = draw(st.integers(1, 4)), draw(st.integers(2, 5))
    n, m, texts = draw(LENGTHS), draw(LENGTHS), draw(st.integers(1, 3))
    d = num_heads * head_dim
    x, y = rng.normal(size=(texts, n, d)), rng.normal(size=(texts, m, d))
    mask = rng.random((texts, 1, n, m)) < draw(st.floats(0, 1))
    allowed = rng.integers(0, m, (texts, 1, n, 1))
    np.put_along_axis(mask, allowed, True, axis=-1)
    return x, y, NAMES["new_parameters"](d, rng), num_heads, mask


def close(first, second, tolerance=TOLERANCE):
    scale = np.max(np.abs(first), initial=1.0)
    return np.allclose(first, second, rtol=0, atol=tolerance * scale)


def heads_by_loops(x, y, parameters, num_heads, mask):
    """One text, one head, one query and one key at a time."""
    Wq, bq, Wk, bk, Wv, bv, Wo, bo = parameters
    joined, head_dim = np.zeros_like(x), x.shape[-1] // num_heads
    for text in range(len(x)):
        q, k, v = x[text] @ Wq + bq, y[text] @ Wk + bk, y[text] @ Wv + bv
        for head in range(num_heads):
            part = slice(head * head_dim, (head + 1) * head_dim)
            joined[text, :, part] = NAMES["attention_by_loops"](
                q[:, part], k[:, part], v[:, part], mask[text, 0]
            )[0]
    return joined @ Wo + bo


def heads_by_operation(x, y, parameters, num_heads, mask):
    """The middle part by keras.ops.dot_product_attention."""
    Wq, bq, Wk, bk, Wv, bv, Wo, bo = parameters
    q, k, v = (
        (part @ W + b).reshape(*part.shape[:2], num_heads, -1).astype("float32")
        for part, W, b in ((x, Wq, bq), (y, Wk, bk), (y, Wv, bv))
    )
    answers = ops.convert_to_numpy(ops.dot_product_attention(q, k, v, mask=mask))
    return answers.reshape(x.shape) @ Wo + bo


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_loops_matrices_operation_and_layers_agree(problem):
    x, y, parameters, num_heads, mask = problem
    wanted, maps = NAMES["multi_head"](x, y, parameters, num_heads, mask=mask)
    assert close(wanted, heads_by_loops(*problem), 1e-12)
    floats = x.astype("float32"), y.astype("float32")
    with keras.device("cpu:0"):
        assert close(wanted, heads_by_operation(*problem))
        layer = NAMES["keras_layer"](parameters, num_heads)
        answers, layer_maps = layer(
            *floats, attention_mask=mask[:, 0], return_attention_scores=True
        )
        assert close(wanted, ops.convert_to_numpy(answers))
        assert close(maps, ops.convert_to_numpy(layer_maps))
        ours = NAMES["Attention"](x.shape[-1], num_heads)
        ours(*floats)
        ours.set_weights(parameters)
        answers, layer_maps = ours(*floats, may_look=mask)
        assert close(wanted, ops.convert_to_numpy(answers))
        assert close(maps, ops.convert_to_numpy(layer_maps))


@settings(max_examples=60, deadline=None)
@given(problem=problems())
def test_rows_sum_to_one_and_hidden_weights_are_exactly_zero(problem):
    x, y, parameters, num_heads, mask = problem
    maps = NAMES["multi_head"](x, y, parameters, num_heads, mask=mask)[1]
    assert np.allclose(maps.sum(axis=-1), 1, rtol=0, atol=1e-12)
    assert not maps[~np.broadcast_to(mask, maps.shape)].any()
    ours = NAMES["Attention"](x.shape[-1], num_heads)
    ours(x.astype("float32"), y.astype("float32"))
    ours.set_weights(parameters)
    maps = ops.convert_to_numpy(ours(x.astype("float32"), y.astype("float32"), may_look=mask)[1])
    assert np.allclose(maps.sum(axis=-1), 1, rtol=0, atol=1e-5)
    assert not maps[~np.broadcast_to(mask, maps.shape)].any()


@settings(max_examples=40, deadline=None)
@given(problem=problems(), seed=SEEDS)
def test_shuffled_words_give_shuffled_answers(problem, seed):
    x, _, parameters, num_heads, _ = problem
    order = np.random.default_rng(seed).permutation(x.shape[1])
    straight = NAMES["multi_head"](x, x, parameters, num_heads)[0]
    shuffled = x[:, order]
    assert close(
        straight[:, order], NAMES["multi_head"](shuffled, shuffled, parameters, num_heads)[0], 1e-12
    )


@settings(max_examples=40, deadline=None)
@given(problem=problems(), data=st.data())
def test_a_causal_mask_keeps_the_future_out(problem, data):
    x, _, parameters, num_heads, _ = problem
    n = x.shape[1]
    when = data.draw(st.integers(0, n))
    changed = x.copy()
    changed[:, when:] += 1.0
    options = {"num_heads": num_heads, "mask": NAMES["causal_mask"](n)}
    before = NAMES["multi_head"](x, x, parameters, **options)[0]
    after = NAMES["multi_head"](changed, changed, parameters, **options)[0]
    assert close(before[:, :when], after[:, :when], 1e-12)


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, pairs=st.integers(1, 8), places=st.lists(st.integers(0, 5000), min_size=3))
def test_rotary_scores_depend_on_distance_alone(seed, pairs, places):
    rng = np.random.default_rng(seed)
    q, k = rng.normal(size=(2, 1, 2 * pairs))
    at, distance, shift = places[:3]
    rotate = NAMES["rotate"]

    def score(p, r):
        return (rotate(q, np.array([p])) @ rotate(k, np.array([r])).T).item()

    assert np.isclose(score(at, at + distance), score(at + shift, at + shift + distance), atol=1e-8)
    assert np.isclose(np.linalg.norm(rotate(q, np.array([at]))), np.linalg.norm(q))


@settings(max_examples=60, deadline=None)
@given(seed=SEEDS, n=LENGTHS, m=st.integers(1, 40), size=st.integers(1, 45))
def test_blocks_of_any_size_agree(seed, n, m, size):
    rng = np.random.default_rng(seed)
    q, k, v = (10 * rng.normal(size=shape) for shape in ((n, 4), (m, 4), (m, 3)))
    wanted = NAMES["attention"](q, k, v)[0]
    assert close(wanted, NAMES["attention_in_blocks"](q, k, v, size), 1e-10)


@settings(max_examples=40, deadline=None)
@given(seed=SEEDS, n=LENGTHS, heads=st.integers(1, 5), head_dim=st.integers(1, 5))
def test_split_and_join_are_inverse_and_keep_features_together(seed, n, heads, head_dim):
    x = np.random.default_rng(seed).normal(size=(2, n, heads * head_dim))
    parts = NAMES["split_heads"](x, heads)
    assert np.array_equal(np.concatenate(np.moveaxis(parts, 1, 0), axis=-1), x)
    assert np.array_equal(NAMES["join_heads"](parts), x)
