"""Repeating a lesson's claims: what one seed loses, the others keep."""

import json
import pathlib
import subprocess

import pytest

from tests import claims

LESSON = pathlib.Path("05_mlp.py")


def run_that_fails_for(bad_seeds):
    def run(command, env, **options):
        seed = int(env["COURSE_SEED"])
        rows = [{"claim": "loss", "at_least": None, "at_most": 2.0, "value": 1.0 + seed}]
        failed = seed in bad_seeds
        return subprocess.CompletedProcess(
            command, returncode=int(failed), stdout=json.dumps(rows), stderr="it broke"
        )

    return run


def test_a_seed_that_raises_does_not_lose_the_others(monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", run_that_fails_for({1}))
    table = claims.repeat(LESSON, 3)
    assert list(table.filter(like="seed_")) == ["seed_0", "seed_2"]
    assert claims.failures(table) == ["loss: measured 1 to 3, claimed [None, 2.0]"]
    assert "seed 1 FAILED\nit broke" in capsys.readouterr().err


def test_no_seed_at_all_is_an_error(monkeypatch):
    monkeypatch.setattr(subprocess, "run", run_that_fails_for({0, 1}))
    with pytest.raises(RuntimeError, match="none of 2 seeds"):
        claims.repeat(LESSON, 2)
