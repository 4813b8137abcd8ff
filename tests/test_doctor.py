"""The doctor: each finding with a healthy and an ill machine, all of them faked."""

import hashlib
import importlib.metadata
import pathlib
import sys
from types import SimpleNamespace

import pytest

from course_lib import __main__ as command_line
from course_lib import data, doctor, runtime


def levels(findings):
    return [finding.level for finding in findings]


@pytest.mark.parametrize(
    "version, level",
    [((3, 10, 14), "problem"), ((3, 14, 0), "problem"), ((2, 7, 18), "problem")]
    + [((3, minor, 1), "ok") for minor in (11, 12, 13)],
)
def test_python(monkeypatch, version, level):
    text = ".".join(map(str, version))
    monkeypatch.setattr(doctor, "sys", SimpleNamespace(version_info=(*version, "final", 0)))
    monkeypatch.setattr(doctor.platform, "python_version", lambda: text)
    (finding,) = doctor.python()
    assert finding.level == level and text in finding.what
    assert bool(finding.remedy) == (level == "problem")


@pytest.fixture
def lock(tmp_path, monkeypatch):
    """A function that writes a lock; the installed packages are faked."""
    installed = {"numpy": "2.4.1", "keras": "3.15.0", "pandas": "3.1.0rc1"}

    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)

    def write(*lines):
        path = tmp_path / "requirements.txt"
        path.write_text("\n".join(lines))
        return path

    return write


def test_packages_as_in_the_lock(lock):
    path = lock(
        *("# made by uv", "", "-e .", "numpy==2.4.1", "    # via keras"),
        *("keras==3.15.0  # via -e .", "pandas==3.1.0rc1"),
    )
    (finding,) = doctor.packages(path)
    assert finding.level == "ok" and finding.what.startswith("3 packages")


def test_package_missing_and_package_of_another_version(lock):
    agreed, other, missing = doctor.packages(lock("numpy==2.4.1", "keras==3.12.0", "nowhere==1.0"))
    assert levels([agreed, other, missing]) == ["ok", "note", "problem"]
    assert agreed.what.startswith("1 packages")
    assert "keras 3.15.0" in other.what and "==3.12.0" in other.what
    assert "nowhere" in missing.what and "make setup" in missing.remedy


def test_packages_of_other_systems_are_not_missed(lock):
    here, elsewhere = f"sys_platform == '{sys.platform}'", f"sys_platform != '{sys.platform}'"
    assert levels(doctor.packages(lock(f"nowhere==1.0 ; {elsewhere}"))) == ["ok"]
    assert levels(doctor.packages(lock(f"nowhere==1.0 ; {here}"))) == ["ok", "problem"]
    (both,) = doctor.packages(lock(f"numpy==2.4.1 ; {here}", f"numpy==1.0 ; {elsewhere}"))
    assert both.level == "ok" and both.what.startswith("1 packages")


@pytest.mark.parametrize(("backend", "level"), [("jax", []), ("tensorflow", ["problem"])])
def test_tensorflow_is_missed_only_where_it_is_the_backend(lock, monkeypatch, backend, level):
    monkeypatch.setattr(doctor.runtime, "expected_backend", lambda: backend)
    assert levels(doctor.packages(lock("tensorflow==2.21.0"))) == ["ok", *level]


def test_no_lock_is_a_note(tmp_path):
    assert levels(doctor.packages(tmp_path / "requirements.txt")) == ["note"]


def test_the_lock_of_the_repository_can_be_read():
    findings = doctor.packages()
    assert findings[0].level == "ok" and int(findings[0].what.split()[0]) > 50


def test_backend_that_starts_has_printed_its_line(monkeypatch):
    monkeypatch.setattr(runtime, "setup", lambda: None)
    assert doctor.backend() == []


def test_backend_that_does_not_start(monkeypatch):
    def fail():
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr(runtime, "setup", fail)
    (finding,) = doctor.backend()
    assert finding.level == "problem" and "libcudart" in finding.what and finding.remedy


@pytest.fixture
def machine(monkeypatch):
    """A function that sets the backend, its accelerators and what `nvidia-smi` answers."""

    def set_machine(backend="tensorflow", found=(), smi=None, returncode=0):
        keras = SimpleNamespace(config=SimpleNamespace(backend=lambda: backend))
        monkeypatch.setitem(sys.modules, "keras", keras)
        monkeypatch.setattr(runtime, "accelerators", lambda name: list(found))
        monkeypatch.setattr(
            doctor.shutil, "which", lambda name: None if smi is None else "/bin/" + name
        )
        answer = SimpleNamespace(returncode=returncode, stdout=smi)
        monkeypatch.setattr(doctor.subprocess, "run", lambda *args, **options: answer)

    return set_machine


def test_driver_without_an_accelerator_is_fine(machine):
    machine()
    (finding,) = doctor.driver()
    assert finding.level == "ok" and "CPU" in finding.what


def test_driver_and_backend_that_uses_it(machine):
    machine(found=[runtime.Accelerator("gpu", "H100", (9, 0))] * 2, smi="H100\nH100\n")
    (finding,) = doctor.driver()
    assert finding.level == "ok" and "2 accelerator" in finding.what and "H100" in finding.what


@pytest.mark.parametrize(
    "backend, remedy",
    [("tensorflow", "tensorflow[and-cuda]"), ("jax", "jax[cuda"), ("torch", "PyTorch")],
)
def test_driver_that_the_backend_can_not_use(machine, backend, remedy):
    machine(backend, smi="NVIDIA GeForce RTX 4060\n")
    (finding,) = doctor.driver()
    assert finding.level == "note" and "RTX 4060" in finding.what and remedy in finding.remedy


@pytest.mark.parametrize("smi, returncode", [("", 0), ("Failed to communicate", 9)])
def test_driver_program_without_a_card(machine, smi, returncode):
    machine(smi=smi, returncode=returncode)
    assert levels(doctor.driver()) == ["ok"]


def test_driver_does_not_fail_where_the_backend_did(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)  # `import keras` raises ImportError
    assert doctor.driver() == []


@pytest.fixture
def one_file(tmp_path, monkeypatch):
    content = b"digits"
    path = tmp_path / "digits.npz"
    path.write_bytes(content)
    source = data.Source(path.name, len(content), hashlib.sha256(content).hexdigest(), ())
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    monkeypatch.setattr(data, "SOURCES", {"digits": source})
    return path


def test_data_intact(one_file):
    assert levels(doctor.data_files()) == ["ok"]


@pytest.mark.parametrize(
    "content, remedy",
    [
        (None, "git checkout -- data/digits.npz"),
        (b"digit", "git checkout -- data/digits.npz"),
        (b"Digits", "git checkout -- data/digits.npz"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_data_damaged(one_file, content, remedy):
    one_file.unlink() if content is None else one_file.write_bytes(content)
    (finding,) = doctor.data_files()
    assert finding.level == "problem"
    assert str(one_file) in finding.what and "Received" in finding.what
    assert remedy in finding.remedy and remedy not in finding.what
    assert str(one_file) not in finding.remedy


@pytest.mark.parametrize("free, level", [(16e9, "ok"), (1e9, "note")])
def test_memory(monkeypatch, free, level):
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: SimpleNamespace(available=free))
    (finding,) = doctor.memory()
    assert finding.level == level and f"{free / 1e9:.1f} GB" in finding.what


def test_write_access(tmp_path):
    assert levels(doctor.write_access(tmp_path)) == ["ok"]
    assert list(tmp_path.iterdir()) == []


def test_no_write_access(tmp_path, monkeypatch):
    (finding,) = doctor.write_access(tmp_path / "missing")
    assert finding.level == "problem" and "missing" in finding.what and finding.remedy

    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    (finding,) = doctor.write_access(tmp_path)
    assert finding.level == "problem" and "Permission denied" in finding.what


CHECKS = ("python", "packages", "backend", "driver", "data_files", "memory", "write_access")


def run(monkeypatch, findings, *arguments):
    """Run the command with faked findings and return its exit code."""
    for name in CHECKS:
        monkeypatch.setattr(doctor, name, lambda name=name: findings.get(name, []))
    monkeypatch.setattr(sys, "argv", ["course_lib", *arguments])
    return command_line.main()


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("level, code", [("ok", 0), ("note", 0), ("problem", 1)])
def test_exit_code_says_whether_the_course_runs(monkeypatch, capsys, check, level, code):
    finding = doctor.Finding(level, f"{check} looked at", "do this")
    assert run(monkeypatch, {check: [finding]}, "doctor") == code
    out = capsys.readouterr().out
    assert f"{check} looked at\n    → do this" in out
    assert ("The course runs here." in out) == (code == 0)


def test_every_problem_is_counted(monkeypatch, capsys):
    problem = doctor.Finding("problem", "broken", "mend")
    assert run(monkeypatch, {name: [problem] for name in CHECKS}, "doctor") == 1
    assert f"{len(CHECKS)} to mend" in capsys.readouterr().out


def test_finding_without_a_remedy_is_one_line():
    assert str(doctor.Finding("ok", "all well")) == "✓ all well"


@pytest.mark.parametrize("arguments", [["--help"], ["doctor", "--help"]])
def test_help(monkeypatch, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, {}, *arguments)
    assert stopped.value.code == 0
    assert "doctor" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["docter"]])
def test_unknown_command(monkeypatch, capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        run(monkeypatch, {}, *arguments)
    assert stopped.value.code == 2


def test_paths_lead_into_the_repository():
    assert (doctor.ROOT / "pyproject.toml").is_file()
    assert pathlib.Path(doctor.packages.__defaults__[0]).is_file()
