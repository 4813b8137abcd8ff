"""How pytest runs notebooks: one chapter on demand, no cell after a failed one, no dead kernels."""

import os
import pathlib
import time

import nbval.kernel
import nbval.plugin
import pytest

os.environ["COURSE_QUIET"] = "1"  # inherited by the kernels: no live progress
NOTEBOOKS = pathlib.Path(__file__).resolve().parent / "notebooks"
CHAPTER_TESTS = ("test_notebooks.py", "test_exercises.py", "conftest.py")
FAILED = pytest.StashKey[str]()


def pytest_addoption(parser):
    parser.addoption("--chapter", help="two digits: only this chapter's notebooks and sources")


def pytest_ignore_collect(collection_path, config):
    """With `--chapter 05`, leave out everything that does not belong to chapter 05."""
    chapter = config.getoption("--chapter")
    if ".ipynb_checkpoints" in collection_path.parts:
        return True
    if not chapter or collection_path.is_dir():
        return None
    if collection_path.suffix == ".ipynb":
        return not collection_path.name.startswith(f"{chapter}_") or None
    return collection_path.name not in CHAPTER_TESTS or None


def pytest_configure(config):
    config.option.nbval_sanitize_with = str(NOTEBOOKS.parent / "tests" / "sanitize.cfg")
    chapter = config.getoption("--chapter")
    if chapter and not list(NOTEBOOKS.glob(f"{chapter}_*.ipynb")):
        known = ", ".join(path.name[:2] for path in sorted(NOTEBOOKS.glob("*.ipynb")))
        raise pytest.UsageError(f"expected one of the chapters {known}. Received: {chapter}")


def pytest_collection_modifyitems(items):
    """Long notebooks first, so that no worker is left with one at the end."""
    items.sort(key=lambda item: -item.path.stat().st_size if item.path.suffix == ".ipynb" else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item):
    if isinstance(item, nbval.plugin.IPyNbCell) and FAILED in item.parent.stash:
        pytest.skip(f"not run: {item.parent.stash[FAILED]} failed")
    if isinstance(item, nbval.plugin.IPyNbCell):
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        only = [t for t in item.cell.metadata.get("tags", []) if t.startswith("only-")]
        if only and f"only-{backend}" not in only:
            pytest.skip(f"this cell is about {', '.join(t.removeprefix('only-') for t in only)}")
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if isinstance(item, nbval.plugin.IPyNbCell) and report.failed:
        item.parent.stash.setdefault(FAILED, item.name)
    return report


class WatchedKernel(nbval.kernel.RunningKernel):
    """nbval waits out the whole time-out for a kernel that has died; this one looks each second."""

    def await_reply(self, msg_id, timeout=None):
        deadline = time.monotonic() + timeout
        while True:
            try:
                return super().await_reply(msg_id, timeout=1)
            except nbval.kernel.Empty:
                if not self.is_alive():
                    raise RuntimeError(
                        "the kernel died while it ran this cell (out of memory, or a crash)"
                    ) from None
                if time.monotonic() > deadline:
                    raise


nbval.plugin.RunningKernel = WatchedKernel
