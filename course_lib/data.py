"""Data sets that are in the repository: loaded with a checksum, kept in memory, never fetched."""

import functools
import hashlib
import io
import pathlib
from dataclasses import dataclass

import numpy as np

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data"


@dataclass(frozen=True)
class Images:
    """Images and labels as they come: uint8, in the original order, read-only.

    `x_train` (n, height, width) or (n, height, width, 3) and `x_test` hold pixels 0 to 255;
    `y_train` (n,) and `y_test` hold class indices; `class_names[i]` names class `i`.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    """A file in `data/`: its name, size in bytes, SHA-256 and class names."""

    file: str
    size: int
    sha256: str
    class_names: tuple[str, ...]


SOURCES = {
    "mnist": Source(
        file="mnist.npz",
        size=11_490_519,
        sha256="06af5dfe73b70e3bc1c36439982b18a8d76803db9b544f6fdf838a37fbb01b64",
        class_names=tuple("0123456789"),
    ),
    "fashion_mnist": Source(
        file="fashion_mnist.npz",
        size=30_869_925,
        sha256="5b6d2c4c694a91887af8ab7d039c04f80af3c29378d731c93a538d2e831aa469",
        class_names=(
            *("T-shirt", "trouser", "pullover", "dress", "coat"),
            *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
        ),
    ),
}
CIFAR10_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


@functools.cache
def load(name):
    """Load a data set as NumPy arrays; a second call returns the same arrays from memory.

    The arrays are read-only, because every cell of a notebook shares them: convert
    (`x.astype("float32") / 255`) or copy before you change anything.

    Args:
        name: `"mnist"`, `"fashion_mnist"` (both in the repository) or `"cifar10"`
            (only with a network or with Keras's own cached copy).

    Returns:
        `Images` with uint8 arrays: 60,000 and 10,000 images of 28×28, or 50,000 and 10,000
        of 32×32×3 for CIFAR-10.

    Raises:
        ValueError: no such data set, or its file is damaged (truncated, changed, or a
            Git-LFS pointer); says what was expected, what was found and what mends it.
        FileNotFoundError: the file is not there, or CIFAR-10 can't be had.

    Example:

    >>> from course_lib import data
    >>> digits = data.load("mnist")
    >>> digits.x_train.shape, digits.x_train.dtype, int(digits.y_train[0])
    ((60000, 28, 28), dtype('uint8'), 5)

    Source: http://yann.lecun.com/exdb/mnist, https://github.com/zalandoresearch/fashion-mnist,
    https://www.cs.toronto.edu/~kriz/cifar.html; licences in data/README.md.
    """
    if name == "cifar10":
        return _load_cifar10()
    if name not in SOURCES:
        known = ", ".join([*SOURCES, "cifar10"])
        raise ValueError(f"The data set must be one of {known}. Received: {name!r}.")
    source = SOURCES[name]
    with np.load(io.BytesIO(verified_bytes(FOLDER / source.file, source))) as archive:
        arrays = {key: archive[key] for key in ("x_train", "y_train", "x_test", "y_test")}
    return _read_only(arrays, source.class_names)


def verified_bytes(path, source):
    """Read a file and return its bytes if they are what the course was written with.

    Args:
        path: `pathlib.Path` of the file.
        source: `Source` with the expected size in bytes and SHA-256.

    Returns:
        bytes.

    Raises:
        FileNotFoundError: no file at `path`.
        ValueError: a Git-LFS pointer, another size, or another SHA-256.

    Example:

    >>> len(verified_bytes(FOLDER / "mnist.npz", SOURCES["mnist"]))
    11490519
    """
    mend = f"Mend it with `git checkout -- data/{source.file}`, or copy the file from a fresh clone"
    if not path.is_file():
        raise FileNotFoundError(
            f"Expected the data file {path} ({source.size:,} bytes). Received: no file. {mend}."
        )
    content = path.read_bytes()
    if content.startswith(b"version https://git-lfs"):
        raise ValueError(
            f"Expected {path} to hold {source.size:,} bytes of images. Received: a Git-LFS "
            "pointer, the note that stands in for the file. Mend it with "
            "`git lfs install && git lfs pull`."
        )
    if len(content) != source.size:
        raise ValueError(
            f"Expected {path} to hold {source.size:,} bytes. Received: {len(content):,} bytes"
            f"{', it is truncated' if len(content) < source.size else ''}. {mend}."
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != source.sha256:
        raise ValueError(
            f"Expected {path} to have SHA-256 {source.sha256}. Received: {digest}, "
            f"so at least one byte differs. {mend}."
        )
    return content


def _load_cifar10():
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.cifar10.load_data()
    except Exception as error:  # Keras raises a bare Exception when a download fails
        raise FileNotFoundError(
            "Expected CIFAR-10 in Keras's cache (~/.keras/datasets) or a network to download it "
            f"(170 MB). Received: {error}. The course never needs it: go on with "
            'data.load("fashion_mnist"), or run this again where there is a network.'
        ) from error
    arrays = {
        "x_train": x_train,
        "y_train": y_train[:, 0],
        "x_test": x_test,
        "y_test": y_test[:, 0],
    }
    return _read_only(arrays, CIFAR10_CLASSES)


def _read_only(arrays, class_names):
    for array in arrays.values():
        array.flags.writeable = False
    return Images(**arrays, class_names=class_names)
