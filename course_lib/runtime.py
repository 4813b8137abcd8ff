"""What the course runs on: backend, device, precision, seed.

The only module that reads environment variables:

| variable | effect |
|---|---|
| `KERAS_BACKEND` | `tensorflow` (default), `jax` or `torch` |
| `COURSE_SEED` | overrides the seed of every `setup` |
| `COURSE_PRECISION` | overrides the precision, for example `float32` |
| `COURSE_DEVICE` | `cpu` hides every accelerator |
| `COURSE_QUIET` | `1`: no live progress (the build and the tests set it) |
"""

import contextlib
import importlib.util
import logging
import os
import sys
import tempfile
from dataclasses import dataclass

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


@dataclass(frozen=True)
class Accelerator:
    """A device beside the CPU: its `kind` (`gpu`, `tpu`, `mps`), `name` and CUDA `capability`."""

    kind: str
    name: str
    capability: tuple[int, int] | None = None


@dataclass(frozen=True)
class Runtime:
    """What `setup` found and chose. `str()` of it is the line that `setup` prints."""

    backend: str
    backend_version: str
    keras_version: str
    device: str
    num_devices: int
    precision: str
    xla: bool
    seed: int

    def __str__(self):
        names = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
        return (
            f"Keras {self.keras_version} on {names[self.backend]} {self.backend_version}"
            f" · {self.device} · {self.precision} · XLA {'on' if self.xla else 'off'}"
            f" · seed {self.seed}"
        )


def setup(*, seed=0, backend=None, precision=None, device=None, distribute=False):
    """Prepare the backend, seed everything and print one line that says what runs.

    Call it in the first cell. The frameworks' start-up messages do not reach the notebook;
    if a framework fails to start, they are part of the error.

    Args:
        seed: int, seeds Python, NumPy and the backend.
        backend: `"tensorflow"`, `"jax"`, `"torch"`, or `None` for `KERAS_BACKEND`,
            then TensorFlow.
        precision: `"float32"`, `"mixed_float16"`, `"mixed_bfloat16"`, or `None` for the
            fastest that the hardware gains from (float32 on every CPU).
        device: `"cpu"` to ignore accelerators, or `None` to use what is there.
        distribute: bool, train on all accelerators of this machine at once, each on its
            share of every batch (TensorFlow and JAX). Build the models after `setup`.

    Returns:
        A `Runtime`.

    Raises:
        RuntimeError: Keras already runs on another backend in this process, or the device
            can no longer be changed.
        ModuleNotFoundError: the backend is not installed.
        ValueError: an argument or its environment variable has an unknown value.

    Example:

    >>> from course_lib import runtime
    >>> run = runtime.setup(seed=7, precision="float32")  # doctest: +ELLIPSIS
    Keras ... seed 7
    >>> run.precision
    'float32'
    """
    backend = _choose_backend(backend)
    seed = _choose_seed(seed)
    device = device or os.environ.get("COURSE_DEVICE") or None
    _hide_accelerators(backend, device)
    os.environ["KERAS_BACKEND"] = backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # JAX's memory growth
    with _framework_messages_held_back():
        import keras

        found = accelerators(backend)
        keras.ops.zeros(1)  # the first operation also talks
    if backend == "tensorflow":  # its logger, once asked for, forgets a level set before
        sys.modules["tensorflow"].get_logger().setLevel(logging.ERROR)
    precision = _choose_precision(precision, found)
    keras.config.set_dtype_policy(precision)
    if distribute:
        _distribute(backend)
    keras.utils.set_random_seed(seed)
    run = Runtime(
        backend=backend,
        backend_version=sys.modules[backend].__version__,
        keras_version=keras.__version__,
        device=_describe(found),
        num_devices=max(1, len(found)),
        precision=precision,
        xla=backend == "jax" or (backend == "tensorflow" and bool(found) and not distribute),
        seed=seed,
    )
    print(run)
    return run


def accelerators(backend):
    """List the accelerators that a backend can use, growing their memory as needed.

    Args:
        backend: `"tensorflow"`, `"jax"` or `"torch"`.

    Returns:
        A list of `Accelerator`, empty on a machine that has only its CPU.

    Example:

    >>> isinstance(accelerators("tensorflow"), list)
    True
    """
    if backend == "tensorflow":
        import tensorflow as tf

        found = []
        for gpu in tf.config.get_visible_devices("GPU"):
            with contextlib.suppress(RuntimeError):  # already initialised: nothing to change
                tf.config.experimental.set_memory_growth(gpu, True)
            details = tf.config.experimental.get_device_details(gpu)
            name = details.get("device_name", gpu.name)
            found.append(Accelerator("gpu", name, details.get("compute_capability")))
        return found
    if backend == "jax":
        import jax

        devices = [d for d in jax.local_devices() if d.platform != "cpu"]
        return [Accelerator(_jax_kind(d), d.device_kind, _jax_capability(d)) for d in devices]
    import torch

    if torch.cuda.is_available():
        return [
            Accelerator("gpu", torch.cuda.get_device_name(i), torch.cuda.get_device_capability(i))
            for i in range(torch.cuda.device_count())
        ]
    return [Accelerator("mps", "Apple GPU")] if torch.backends.mps.is_available() else []


def fastest_precision(found):
    """Choose the Keras dtype policy that the given accelerators gain from.

    Args:
        found: list of `Accelerator`.

    Returns:
        `"mixed_bfloat16"` on TPUs and from NVIDIA's Ampere (compute capability 8.0) on,
        `"mixed_float16"` on Volta and Turing (7.x), else `"float32"`.

    Example:

    >>> fastest_precision([Accelerator("gpu", "H100", (9, 0))])
    'mixed_bfloat16'
    >>> fastest_precision([])
    'float32'

    Source: https://keras.io/api/mixed_precision/
    """
    if not found:
        return "float32"
    if found[0].kind == "tpu":
        return "mixed_bfloat16"
    capability = min((a.capability or (0, 0)) for a in found)
    if capability >= (8, 0):
        return "mixed_bfloat16"
    return "mixed_float16" if capability >= (7, 0) else "float32"


def frontend():
    """Say where progress can be shown: `"notebook"`, `"terminal"` or `"none"`.

    Returns:
        `"notebook"` in a Jupyter kernel, `"terminal"` when stdout is one, else `"none"`;
        always `"none"` when `COURSE_QUIET=1`.

    Example:

    >>> frontend() in ("notebook", "terminal", "none")
    True
    """
    if os.environ.get("COURSE_QUIET") == "1":
        return "none"
    if "ipykernel" in sys.modules:
        from IPython import get_ipython

        if type(get_ipython()).__name__ == "ZMQInteractiveShell":
            return "notebook"
    return "terminal" if sys.stdout.isatty() else "none"


def expected_backend():
    """Return the backend that `setup()` takes unless told: Keras's if it runs, or `KERAS_BACKEND`.

    Example:

    >>> expected_backend() in ("tensorflow", "jax", "torch")
    True
    """
    return _running_backend() or os.environ.get("KERAS_BACKEND") or "tensorflow"


def _running_backend():
    return sys.modules["keras"].config.backend() if "keras" in sys.modules else None


def _choose_backend(backend):
    running = _running_backend()
    backend = backend or expected_backend()
    if backend not in BACKENDS:
        raise ValueError(
            f"The backend must be one of {', '.join(BACKENDS)}. Received: {backend!r}. "
            "Check the argument of setup() and the variable KERAS_BACKEND."
        )
    if running and running != backend:
        raise RuntimeError(
            f"Expected to run on {backend}. Received: a process in which Keras already runs "
            f"on {running}, and a backend can't change after `import keras`. Restart the "
            f'kernel and call runtime.setup(backend="{backend}") before importing keras.'
        )
    if importlib.util.find_spec(backend) is None:
        raise ModuleNotFoundError(
            f"Expected {backend} to be installed. Received: no such package. Install it with "
            f"`pip install {backend}`, or set KERAS_BACKEND to one that you have."
        )
    return backend


def _choose_seed(seed):
    seed = os.environ.get("COURSE_SEED") or seed
    if not str(seed).isdecimal() or int(seed) >= 2**32:
        raise ValueError(
            f"The seed must be an integer from 0 to 4,294,967,295. Received: {seed!r}. "
            "Check the argument of setup() and the variable COURSE_SEED."
        )
    return int(seed)


def _choose_precision(precision, found):
    precision = precision or os.environ.get("COURSE_PRECISION") or fastest_precision(found)
    if precision not in PRECISIONS:
        raise ValueError(
            f"The precision must be one of {', '.join(PRECISIONS)}. Received: {precision!r}. "
            "Check the argument of setup() and the variable COURSE_PRECISION."
        )
    return precision


def _hide_accelerators(backend, device):
    if device is None:
        return
    if device != "cpu":
        raise ValueError(f'The device must be "cpu" or None (all). Received: {device!r}.')
    if "keras" in sys.modules and accelerators(backend):
        raise RuntimeError(
            f'Expected setup(device="cpu") before `import keras`. Received: {backend} already '
            "holds an accelerator. Restart the kernel and call setup first."
        )
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["JAX_PLATFORMS"] = "cpu"


def _distribute(backend):
    if backend == "jax":
        import keras

        keras.distribution.set_distribution(keras.distribution.DataParallel())
    elif backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        strategy = tf.distribute.MirroredStrategy([d.name for d in devices])
        tf.distribute.experimental_set_strategy(strategy)
    else:
        raise ValueError(
            "distribute=True works on TensorFlow and JAX. Received: torch. Start one process "
            "per GPU with torchrun and DistributedDataParallel instead."
        )


def _describe(found):
    if not found:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        return f"CPU, {cores} cores"
    return f"{len(found)} × {found[0].name}" if len(found) > 1 else found[0].name


def _jax_kind(device):
    return "gpu" if device.platform in ("gpu", "cuda", "rocm") else device.platform


def _jax_capability(device):
    version = getattr(device, "compute_capability", None)
    return tuple(int(part) for part in version.split(".")) if version else None


@contextlib.contextmanager
def _framework_messages_held_back():
    """Hold back what C++ code writes to file descriptor 2; show it only if the block fails."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception as error:
            held.seek(0)
            error.add_note("The framework said:\n" + held.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)
