"""Makefile: `make run` installs the dependencies, and again after a change; each target runs its tests."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.servers import CHECKOUT

_FIVE = """
import pytest
from tests import servers

def test_one_that_needs_nothing(tmp_path): pass
def test_one_that_starts_a_server(tmp_path):
    with servers.redis_server(tmp_path): pass
def test_one_that_asks_for_a_server(published): pass
@pytest.mark.server
def test_one_that_is_marked(): pass
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_on_postgresql(any_app): pass
"""
pytestmark = pytest.mark.server
INSTALLING = "Installing the locked dependencies"
# An interpreter whose environments are made without pip, which takes seconds; they find the pip of the tests.
PYTHON = f"""\
#!/bin/sh
case "$*" in "-m venv "*) exec {sys.executable} "$@" --without-pip;; esac
exec {sys.executable} "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing to install, and nothing to run but two words."""
    shutil.copy(CHECKOUT / "Makefile", tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / "requirements" / "run.txt").touch()
    (tmp_path / "feedback_push").mkdir()
    (tmp_path / "feedback_push" / "standalone.py").write_text("print('It runs')")
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make_run(checkout: Path) -> str:
    pip = sysconfig.get_path("purelib")
    environment = {"PATH": os.environ["PATH"], "HOME": str(checkout), "PYTHONPATH": pip}
    command = ["make", "run", f"PYTHON={checkout / 'python'}"]
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


def commands(target: str) -> str:
    listed = ["make", "--dry-run", "--assume-old=.venv/.dev-installed", target]
    return subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120).stdout


def test_coverage_is_measured_by_its_own_target_and_the_fast_tests_install_no_server() -> None:
    assert "--cov" in commands("coverage")
    for target in ("test", "test-fast"):
        assert "--cov" not in commands(target)
    assert "--fast" in commands("test-fast")
    assert "install-packages" not in commands("test-fast")
    listed = subprocess.run(["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=120)
    assert {"test", "test-fast", "coverage"} <= {line.split()[1] for line in listed.stdout.splitlines()}


def test_fast_leaves_out_what_asks_for_a_server_and_refuses_what_starts_one_unasked(tmp_path: Path) -> None:
    (tmp_path / "test_five.py").write_text(_FIVE)
    command = [sys.executable, "-m", "pytest", "--fast", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    command += ["-c", str(CHECKOUT / "pyproject.toml"), str(tmp_path)]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=120)
    assert "1 failed, 1 passed, 3 deselected" in ended.stdout
    assert "needs the marker `server`, because it starts" in ended.stdout
