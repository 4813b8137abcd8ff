"""Data: what arrives is what was published, and a damaged file says how to mend it."""

import hashlib
import re

import numpy as np
import pytest

from course_lib import data

COUNTS = {  # of each class, as published: training, test
    "mnist": (
        [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
        [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009],
    ),
    "fashion_mnist": ([6000] * 10, [1000] * 10),
}
MEAN_AND_DEVIATION = {"mnist": (0.1307, 0.3081), "fashion_mnist": (0.2860, 0.3530)}


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A folder with one sound data set of three images, known as "tiny"."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (3, 28, 28), dtype="uint8"),
        "y_train": np.array([0, 1, 1], dtype="uint8"),
        "x_test": rng.integers(0, 256, (1, 28, 28), dtype="uint8"),
        "y_test": np.array([1], dtype="uint8"),
    }
    path = tmp_path / "tiny.npz"
    np.savez_compressed(path, **arrays)
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setitem(
        data.SOURCES, "tiny", data.Source("tiny.npz", len(content), digest, ("no", "yes"))
    )
    data.load.cache_clear()
    yield path, arrays
    data.load.cache_clear()


@pytest.mark.parametrize("name", COUNTS)
def test_repository_holds_what_was_published(name):
    images = data.load(name)
    train, test = COUNTS[name]
    assert images.x_train.shape == (60000, 28, 28) and images.x_test.shape == (10000, 28, 28)
    assert images.x_train.dtype == images.y_train.dtype == np.uint8
    assert np.bincount(images.y_train).tolist() == train
    assert np.bincount(images.y_test).tolist() == test
    measured = images.x_train.mean() / 255, images.x_train.std() / 255
    np.testing.assert_allclose(measured, MEAN_AND_DEVIATION[name], atol=5e-5)
    assert len(images.class_names) == len(set(images.class_names)) == 10


def test_labels_belong_to_the_images():
    """The mean picture of each class in training predicts the test part far above chance."""
    digits = data.load("mnist")
    means = np.stack([digits.x_train[digits.y_train == d].mean(0).ravel() for d in range(10)])
    x = digits.x_test.reshape(len(digits.x_test), -1).astype("float32")
    distances = (means**2).sum(1) - 2 * x @ means.T  # (n, 10), less the term of x alone
    assert (distances.argmin(1) == digits.y_test).mean() > 0.75


def test_readme_lists_every_file_with_its_hash():
    text = (data.FOLDER / "README.md").read_text()
    listed = dict(re.findall(r"^\|\s*`([\w.]+\.npz)`.*`([0-9a-f]{64})`", text, re.MULTILINE))
    assert listed == {source.file: source.sha256 for source in data.SOURCES.values()}
    for source in data.SOURCES.values():
        assert f"{source.size:,}" in text
    on_disk = {path.name for path in data.FOLDER.iterdir()} - {"README.md"}
    assert on_disk == set(listed)


def test_load_returns_what_the_file_holds(tiny):
    _, arrays = tiny
    images = data.load("tiny")
    for name, array in arrays.items():
        np.testing.assert_array_equal(getattr(images, name), array)
    assert images.class_names == ("no", "yes")


def test_second_load_comes_from_memory(tiny):
    path, _ = tiny
    first = data.load("tiny")
    path.unlink()
    assert data.load("tiny") is first


@pytest.mark.parametrize("part", ["x_train", "y_train", "x_test", "y_test"])
def test_arrays_are_read_only(tiny, part):
    with pytest.raises(ValueError, match="read-only"):
        getattr(data.load("tiny"), part)[0] = 1


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match=r"mnist, fashion_mnist.*cifar10.*Received: 'minst'"):
        data.load("minst")


def damage_missing(path):
    path.unlink()
    return FileNotFoundError, ["no file"]


def damage_truncated(path):
    path.write_bytes(path.read_bytes()[:-7])
    return ValueError, [f"{path.stat().st_size:,} bytes", "truncated"]


def damage_longer(path):
    path.write_bytes(path.read_bytes() + b"\n")
    return ValueError, [f"{path.stat().st_size:,} bytes"]


def damage_empty(path):
    path.write_bytes(b"")
    return ValueError, ["0 bytes"]


def damage_one_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    return ValueError, [hashlib.sha256(content).hexdigest(), data.SOURCES["tiny"].sha256]


def damage_lfs_pointer(path):
    oid = data.SOURCES["tiny"].sha256
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 11490519\n"
    path.write_text(pointer)
    return ValueError, ["Git-LFS pointer", "git lfs pull"]


DAMAGES = [
    damage_missing,
    damage_truncated,
    damage_longer,
    damage_empty,
    damage_one_bit,
    damage_lfs_pointer,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_says_what_mends_it(tiny, damage):
    path, _ = tiny
    sound = path.read_bytes()
    error, words = damage(path)
    with pytest.raises(error) as caught:
        data.load("tiny")
    message = str(caught.value)
    for word in [str(path), "Expected", "Received: ", *words]:
        assert word in message
    if damage is not damage_one_bit:
        assert f"{len(sound):,} bytes" in message
    command = "git lfs pull" if damage is damage_lfs_pointer else "git checkout -- data/tiny.npz"
    assert f"Mend it with `git {command.removeprefix('git ')}" in message or command in message
    path.write_bytes(sound)  # mended: the failure was not remembered
    assert data.load("tiny").y_train.tolist() == [0, 1, 1]


def test_only_a_longer_file_is_not_called_truncated(tiny):
    path, _ = tiny
    damage_longer(path)
    with pytest.raises(ValueError) as caught:
        data.load("tiny")
    assert "truncated" not in str(caught.value)


@pytest.fixture
def cifar10(monkeypatch):
    """Replace Keras's loader; returns a function that sets what it does."""
    import keras

    def set_loader(loader):
        monkeypatch.setattr(keras.datasets.cifar10, "load_data", loader)

    data.load.cache_clear()
    yield set_loader
    data.load.cache_clear()


def test_cifar10_without_a_network_says_how_to_go_on(cifar10):
    def offline():
        raise Exception("URL fetch failure on https://…: no route to host")

    cifar10(offline)
    with pytest.raises(FileNotFoundError) as caught:
        data.load("cifar10")
    for word in ("Expected CIFAR-10", "Received: URL fetch failure", "fashion_mnist", "network"):
        assert word in str(caught.value)
    assert isinstance(caught.value.__cause__, Exception)


def test_cifar10_from_keras_has_the_shape_of_the_others(cifar10):
    x = np.arange(2 * 32 * 32 * 3).reshape(2, 32, 32, 3).astype("uint8")
    y = np.array([[3], [9]], dtype="uint8")
    cifar10(lambda: ((x, y), (x[:1], y[:1])))
    images = data.load("cifar10")
    assert images.y_train.tolist() == [3, 9] and images.y_test.tolist() == [3]
    assert [images.class_names[i] for i in images.y_train] == ["cat", "truck"]
    np.testing.assert_array_equal(images.x_train, x)
    with pytest.raises(ValueError, match="read-only"):
        images.y_train[0] = 1
    assert data.load("cifar10") is images
