"""The loss and the ruler of chapter 12, as the lesson shows them, by what must hold of them."""

import keras
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import common

LESSON = common.lesson_names("12_gan")
MATRICES = st.integers(1, 6).flatmap(
    lambda d: st.tuples(st.just(d), st.integers(0, 10_000), st.integers(0, 10_000))
)


def normal(d, seed):
    """A random mean (d,) and covariance (d, d)."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=d), np.cov(rng.normal(size=(d, 4 * d + 4))).reshape(d, d)


@settings(max_examples=50, deadline=None)
@given(MATRICES)
def test_frechet_is_a_distance(drawn):
    d, *seeds = drawn
    (mean, covariance), (other_mean, other) = (normal(d, seed) for seed in seeds)
    frechet = LESSON["frechet"]
    assert frechet(mean, covariance, mean, covariance) == pytest.approx(0, abs=1e-6)
    there = frechet(mean, covariance, other_mean, other)
    assert there == pytest.approx(frechet(other_mean, other, mean, covariance), abs=1e-6)
    assert there >= -1e-6
    assert frechet(mean, covariance, mean + 3, covariance) == pytest.approx(9 * d, rel=1e-6)


@settings(max_examples=50, deadline=None)
@given(MATRICES)
def test_frechet_equals_the_matrix_root(drawn):
    d, *seeds = drawn
    (mean, covariance), (other_mean, other) = (normal(d, seed) for seed in seeds)
    root = scipy.linalg.sqrtm(covariance @ other).real
    wanted = np.sum((mean - other_mean) ** 2) + np.trace(covariance + other - 2 * root)
    assert LESSON["frechet"](mean, covariance, other_mean, other) == pytest.approx(wanted, abs=1e-5)


def test_frechet_stands_features_that_never_vary():
    flat = np.diag([1.0, 0.0])
    assert LESSON["frechet"](np.zeros(2), flat, np.zeros(2), 4 * flat) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("silenced", "still", "moving"),
    [
        ("discriminator_loss", "discriminator", "generator"),
        ("generator_loss", "generator", "discriminator"),
    ],
)
def test_each_player_learns_from_its_own_loss_only(silenced, still, moving, monkeypatch):
    """With one player's loss silenced, a step of `fit` must leave that player as it was."""
    monkeypatch.setitem(LESSON, silenced, lambda *logits: 0.0)
    keras.utils.set_random_seed(0)
    gan = LESSON["build_gan"]((8, 8, 1), 0, dropout=0.2)

    def weights():  # trainable ones: batch normalisation's averages move whoever learns
        return {
            name: [
                keras.ops.convert_to_numpy(v) + 0 for v in getattr(gan, name).trainable_variables
            ]
            for name in (still, moving)
        }

    before = weights()
    gan.compile(optimizer=keras.optimizers.SGD(0.1))
    pictures = np.random.default_rng(0).normal(size=(8, 8, 8, 1)).astype("float32")
    gan.fit(pictures, np.zeros(8), batch_size=8, verbose=0)
    after = weights()
    pairs = {name: list(zip(before[name], after[name], strict=True)) for name in before}
    assert all(np.array_equal(old, new) for old, new in pairs[still])
    assert all(not np.array_equal(old, new) for old, new in pairs[moving] if old.ndim > 1)


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (8, 12, 2)])
def test_networks_fit_any_shape_that_divides_by_four(shape):
    generator, discriminator = (
        LESSON["build_generator"](shape),
        LESSON["build_discriminator"](shape),
    )
    pictures = generator(np.zeros((3, 64), "float32"))
    assert tuple(pictures.shape) == (3, *shape)
    assert tuple(discriminator(pictures).shape) == (3, 1)
