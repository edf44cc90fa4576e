"""Build the distributions, and install the wheel into an environment of its own, away from the checkout."""

import subprocess
import sys
import sysconfig
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.servers import CHECKOUT


@dataclass(frozen=True)
class Installed:
    """A virtual environment that contains the wheel."""

    folder: Path

    @property
    def command(self) -> str:
        """The path of `feedback-push`."""
        return str(self.folder / "bin" / "feedback-push")

    def run(self, *words: str, folder: Path, typed: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
        """Run `feedback-push` in a folder with these settings and no others."""
        return subprocess.run(
            [self.command, *words],
            cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin", **settings},
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@dataclass(frozen=True)
class Wheel:
    """A built wheel."""

    path: Path

    @cached_property
    def files(self) -> dict[str, bytes]:
        """The contents of its files, by name."""
        with zipfile.ZipFile(self.path) as archive:
            return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def build(kind: str, folder: Path, *, source: Path = CHECKOUT) -> Path:
    """Build the `wheel` or the `sdist` of a source tree into a folder, without the network; return its path."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=120)
    [built] = folder.glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[kind])
    return built


def install(wheel: Path, folder: Path) -> Installed:
    """Install a wheel into a new environment that borrows the dependencies of the tests' own environment.

    So nothing is fetched. What this leaves open, the dependencies that the wheel itself names, has tests of its own.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    pip = [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check"]
    subprocess.run([*pip, "install", "--quiet", "--no-index", "--no-deps", wheel], check=True, timeout=120)
    site_packages = next(folder.glob("lib/python*/site-packages"))
    (site_packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return Installed(folder)
