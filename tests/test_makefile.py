"""Makefile: what `make run` installs, and when it does so again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import CHECKOUT

INSTALLING = "Installing the locked dependencies"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing to install, and nothing to run but two words."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.txt").touch()
    (tmp_path / "feedback_push").mkdir()
    (tmp_path / "feedback_push" / "standalone.py").write_text("print('It runs')")
    return tmp_path


def make_run(checkout: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout)}
    command = ["make", "run", f"PYTHON={sys.executable}"]
    ended = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.endswith("It runs\n")
    return ended.stdout


def test_dependencies_are_installed_once_and_again_for_another_python(checkout: Path) -> None:
    assert INSTALLING in make_run(checkout)
    assert INSTALLING not in make_run(checkout)
    python = checkout / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.that-was-replaced")
    left = checkout / ".venv" / "left-by-the-other-python"
    left.touch()
    assert INSTALLING in make_run(checkout)
    assert not left.exists()
    assert INSTALLING not in make_run(checkout)
