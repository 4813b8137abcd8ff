"""Runtime: what it chooses, what it refuses, and that it is quiet."""

import json
import os
import pathlib
import random
import subprocess
import sys
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from course_lib import runtime

ROOT = pathlib.Path(__file__).resolve().parent.parent
VARIABLES = ("KERAS_BACKEND", "COURSE_SEED", "COURSE_PRECISION", "COURSE_DEVICE", "COURSE_QUIET")


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    """No overrides from outside; nothing that setup() changes outlives a test."""
    changed = ("CUDA_VISIBLE_DEVICES", "JAX_PLATFORMS", "TF_CPP_MIN_LOG_LEVEL")
    for name in (*VARIABLES, *changed, "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(name, "")  # so that monkeypatch restores what setup() sets
        monkeypatch.delenv(name)
    yield
    keras.config.set_dtype_policy("float32")


def gpu(*capability):
    return runtime.Accelerator("gpu", "a GPU", capability or None)


# --- precision ---------------------------------------------------------------------------

capabilities = st.tuples(st.integers(3, 12), st.integers(0, 9))
SPEED = ["float32", "mixed_float16", "mixed_bfloat16"]


@pytest.mark.parametrize(
    "capability, policy",
    [
        ((6, 1), "float32"),  # Pascal: half precision is slower
        ((7, 0), "mixed_float16"),  # Volta
        ((7, 5), "mixed_float16"),  # Turing
        ((8, 0), "mixed_bfloat16"),  # Ampere
        ((8, 9), "mixed_bfloat16"),  # Ada
        ((9, 0), "mixed_bfloat16"),  # Hopper
        ((12, 0), "mixed_bfloat16"),  # Blackwell: compared as numbers, not as text
    ],
)
def test_precision_of_known_hardware(capability, policy):
    assert runtime.fastest_precision([gpu(*capability)]) == policy


@given(capabilities, capabilities)
def test_newer_hardware_never_gets_a_slower_precision(a, b):
    older, newer = sorted([a, b])
    rank = [SPEED.index(runtime.fastest_precision([gpu(*c)])) for c in (older, newer)]
    assert rank == sorted(rank)


@given(st.lists(capabilities, min_size=1, max_size=4))
def test_several_devices_get_what_the_oldest_can(found):
    devices = [gpu(*c) for c in found]
    assert runtime.fastest_precision(devices) == runtime.fastest_precision([gpu(*min(found))])


def test_precision_without_a_known_gpu():
    assert runtime.fastest_precision([]) == "float32"
    assert runtime.fastest_precision([gpu()]) == "float32"
    assert runtime.fastest_precision([runtime.Accelerator("mps", "Apple GPU")]) == "float32"
    assert runtime.fastest_precision([runtime.Accelerator("tpu", "v5e")]) == "mixed_bfloat16"


def test_setup_uses_what_the_hardware_gains_from(monkeypatch, capsys):
    monkeypatch.setattr(runtime, "accelerators", lambda backend: [gpu(8, 0), gpu(8, 0)])
    run = runtime.setup()
    assert run.precision == keras.config.dtype_policy().name == "mixed_bfloat16"
    assert run.xla and run.num_devices == 2 and "2 × a GPU" in capsys.readouterr().out


# --- overrides and bad values ------------------------------------------------------------


def test_setup_prints_one_line_that_says_what_runs(capsys):
    run = runtime.setup(seed=7)
    out = capsys.readouterr().out
    assert out == f"{run}\n"
    for word in (keras.__version__, "TensorFlow", run.device, "float32", "XLA off", "seed 7"):
        assert word in out


def test_variables_override_the_arguments(monkeypatch):
    monkeypatch.setenv("COURSE_SEED", "11")
    monkeypatch.setenv("COURSE_PRECISION", "mixed_bfloat16")
    run = runtime.setup(seed=7)
    assert run.seed == 11
    assert run.precision == keras.config.dtype_policy().name == "mixed_bfloat16"


def test_an_empty_variable_is_no_override(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
    run = runtime.setup(seed=7)
    assert (run.backend, run.seed, run.precision) == ("tensorflow", 7, "float32")


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", str(2**32)])
def test_bad_seed(monkeypatch, value):
    monkeypatch.setenv("COURSE_SEED", value)
    with pytest.raises(ValueError, match=rf"seed.*Received: '{value}'.*COURSE_SEED"):
        runtime.setup()


def test_bad_precision(monkeypatch):
    with pytest.raises(ValueError, match=r"float32, .*Received: 'float17'"):
        runtime.setup(precision="float17")
    monkeypatch.setenv("COURSE_PRECISION", "half")
    with pytest.raises(ValueError, match=r"Received: 'half'.*COURSE_PRECISION"):
        runtime.setup()


def test_bad_device(monkeypatch):
    with pytest.raises(ValueError, match=r"cpu.*Received: 'gpu'"):
        runtime.setup(device="gpu")
    monkeypatch.setenv("COURSE_DEVICE", "tpu")
    with pytest.raises(ValueError, match="Received: 'tpu'"):
        runtime.setup()


def test_device_cpu_hides_accelerators_from_every_backend(monkeypatch):
    monkeypatch.setenv("COURSE_DEVICE", "cpu")
    run = runtime.setup()
    assert run.device.startswith("CPU") and run.num_devices == 1
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "-1"
    assert os.environ["JAX_PLATFORMS"] == "cpu"


def test_device_cpu_comes_too_late_for_an_accelerator_in_use(monkeypatch):
    monkeypatch.setattr(runtime, "accelerators", lambda backend: [gpu(8, 0)])
    with pytest.raises(RuntimeError, match=r"before `import keras`.*Restart the kernel"):
        runtime.setup(device="cpu")
    assert "CUDA_VISIBLE_DEVICES" not in os.environ


# --- backends ----------------------------------------------------------------------------


def test_unknown_backend():
    with pytest.raises(ValueError, match=r"tensorflow, jax, torch\. Received: 'theano'"):
        runtime.setup(backend="theano")


def test_another_backend_after_import_keras_says_why_not():
    with pytest.raises(RuntimeError) as caught:
        runtime.setup(backend="torch")
    for word in ("torch", "already runs on tensorflow", "Restart", 'setup(backend="torch")'):
        assert word in str(caught.value)
    assert keras.config.backend() == "tensorflow" and "KERAS_BACKEND" not in os.environ


def test_variable_does_not_break_a_process_in_which_keras_runs(monkeypatch):
    """`import keras` has already read KERAS_BACKEND: what counts is what runs."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert runtime.setup().backend == "tensorflow"


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_backend_that_is_not_installed(monkeypatch, how):
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(runtime.importlib.util, "find_spec", lambda name: None)
    if how == "variable":
        monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(ModuleNotFoundError, match=r"jax to be installed.*pip install jax"):
        runtime.setup(backend="jax" if how == "argument" else None)


def test_failing_import_shows_what_the_framework_said(monkeypatch, capfd):
    class BrokenKeras:
        def find_spec(self, name, path=None, target=None):
            if name == "keras":
                os.write(2, b"E0000 libcudart.so.12: cannot open shared object file\n")
                raise ImportError("DLL load failed")

    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.setattr(sys, "meta_path", [BrokenKeras(), *sys.meta_path])
    with pytest.raises(ImportError, match="DLL load failed") as caught:
        runtime.setup()
    assert "libcudart.so.12: cannot open" in "\n".join(caught.value.__notes__)
    os.write(2, b"stderr works again\n")
    assert capfd.readouterr().err == "stderr works again\n"


def test_messages_are_held_back_and_stderr_comes_back(capfd):
    with runtime._framework_messages_held_back():
        os.write(2, b"I0000 hello from C++\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_no_file_descriptor_is_leaked():
    def opened():
        return len(os.listdir("/proc/self/fd"))

    if not os.path.isdir("/proc/self/fd"):
        pytest.skip("needs /proc")
    before = opened()
    for _ in range(3):
        with runtime._framework_messages_held_back():
            pass
    assert opened() == before


def test_distribute_refuses_torch():
    with pytest.raises(ValueError, match=r"TensorFlow and JAX\. Received: torch"):
        runtime._distribute("torch")


# --- seeds -------------------------------------------------------------------------------


def draws():

    return [
        random.random(),
        *np.random.normal(size=2),  # noqa: NPY002
        *keras.ops.convert_to_numpy(keras.random.normal((2,))),
        *keras.ops.convert_to_numpy(keras.initializers.GlorotUniform()((2, 2))).flat,
    ]


def test_seed_repeats_every_source_of_randomness():
    results = []
    for seed in (3, 3, 4):
        runtime.setup(seed=seed)
        results.append(draws())
    assert results[0] == results[1]
    assert all(a != b for a, b in zip(results[0], results[2], strict=True))


# --- where progress can be shown ---------------------------------------------------------


class ZMQInteractiveShell:
    pass


class TerminalInteractiveShell:
    pass


@pytest.mark.parametrize(
    "shell, is_terminal, expected",
    [
        (ZMQInteractiveShell, False, "notebook"),
        (TerminalInteractiveShell, True, "terminal"),
        (None, True, "terminal"),
        (None, False, "none"),
        (TerminalInteractiveShell, False, "none"),
    ],
)
def test_frontend(monkeypatch, shell, is_terminal, expected):
    if shell is None:
        monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    else:
        monkeypatch.setitem(sys.modules, "ipykernel", SimpleNamespace())
        monkeypatch.setattr("IPython.get_ipython", lambda: shell())
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(isatty=lambda: is_terminal))
    answer = runtime.frontend()
    monkeypatch.setenv("COURSE_QUIET", "1")
    quiet = runtime.frontend()
    monkeypatch.undo()
    assert (answer, quiet) == (expected, "none")


# --- fresh processes ---------------------------------------------------------------------


def python(code, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "COURSE_"))}
    environment |= {"COURSE_QUIET": "1", **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )


def test_fresh_process_prints_one_line_and_no_noise():
    code = """
import sys
sys.ps1 = ">>> "  # TensorFlow talks more to someone who is there to read it, as in a notebook
from course_lib import runtime
runtime.setup(seed=5)
import tensorflow as tf
tf.get_logger().warning("noise")
"""
    run = python(code, KERAS_BACKEND="tensorflow", COURSE_DEVICE="cpu")
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    assert run.stdout.count("\n") == 1 and run.stdout.endswith("seed 5\n")


DISTRIBUTED = """
import json
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras, numpy as np
from course_lib import runtime, training

rng = np.random.default_rng(0)
x = rng.normal(size=(103, 4)).astype("float32")
y = (x[:, 0] > 0).astype("int32")
rows = []
for distribute in (False, True):
    runtime.setup(seed=0, distribute=distribute)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    replicas = model.distribute_strategy.num_replicas_in_sync
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    sgd = keras.optimizers.SGD(2.0)
    result = training.fit(model, x[:102], y[:102], epochs=3, batch_size=102, validation=(x, y),
                          optimizer=sgd, loss=loss)
    rows.append([replicas, result.steps, int(sgd.iterations.numpy()),
                 *result.history[["loss", "val_loss"]].iloc[-1]])
try:
    training.fit(model, x, y, epochs=1, batch_size=7, optimizer="sgd", loss=loss)
except ValueError as error:
    rows.append(str(error))
print(json.dumps(rows))
"""


def test_two_devices_train_like_one():
    run = python(DISTRIBUTED)
    assert run.returncode == 0, run.stderr[-3000:]
    one, two, refusal = json.loads(run.stdout.splitlines()[-1])
    assert (one[0], two[0]) == (1, 2)
    assert one[1:3] == two[1:3] == [3, 3]
    assert one[4] < 0.6  # chance is 0.69
    np.testing.assert_allclose(two[3:], one[3:], rtol=1e-3)
    assert "2 devices" in refusal and "batches of 7" in refusal
