"""A release: its tag, its notes, and the list of its dependencies."""

import json
import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from feedback_push import __version__
from tests.package.installed import Installed
from tests.servers import CHECKOUT

SCRIPT = CHECKOUT / ".github" / "release_notes.py"
CHANGELOG = """\
# Changelog

## Unreleased

- New

## 1.2.0 - 2026-11-28

### Added

- One

## 1.1.0 - 2026-10-01

- Old
"""


@pytest.fixture(scope="module")
def release_notes() -> ModuleType:
    """The script that the workflow runs."""
    spec = util.spec_from_file_location("release_notes", SCRIPT)
    assert spec
    assert spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_notes_are_the_dated_part_of_that_version(release_notes: ModuleType) -> None:
    assert release_notes.notes(CHANGELOG, "1.2.0") == "### Added\n\n- One"
    assert release_notes.notes(CHANGELOG, "1.1.0") == "- Old"
    for version in ("1.2", "1x2.0", "1.3.0", "Unreleased"):
        with pytest.raises(release_notes.ReleaseError, match="has no part for"):
            release_notes.notes(CHANGELOG, version)


def test_only_the_tag_of_the_packages_own_version_is_released() -> None:
    def run(tag: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([sys.executable, SCRIPT, tag], capture_output=True, text=True, check=False)

    refused = run("v0.0.1")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert f"is not the version of the package, {__version__}" in refused.stderr
    released = run(f"v{__version__}")
    dated = f"\n## {__version__} - " in (CHECKOUT / "CHANGELOG.md").read_text()
    assert bool(released.stdout) == dated, released.stderr


@pytest.mark.server
def test_the_list_of_dependencies_names_the_wheel_and_what_it_depends_on(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "dist").mkdir()
    dry = ["make", "--dry-run", "dist", f"VENV={sys.prefix}", f"--assume-old={sys.prefix}/.dev-installed"]
    commands = subprocess.run(dry, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    [command] = [line for line in commands.splitlines() if " cyclonedx_py " in line]
    words = [word.replace("build/environment", str(installed.folder)) for word in command.split()]
    subprocess.run([*words, "--no-validate"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    [path] = (tmp_path / "dist").glob("*.json")
    listed = json.loads(path.read_text())
    assert listed["bomFormat"] == "CycloneDX"
    [own] = [one for one in listed["components"] if one["name"] == "feedback-push"]
    assert own["version"] == __version__
    [edges] = [one["dependsOn"] for one in listed["dependencies"] if one["ref"] == own["bom-ref"]]
    assert {"celery", "flask", "sqlalchemy"} <= {name.partition("==")[0].lower() for name in edges}
