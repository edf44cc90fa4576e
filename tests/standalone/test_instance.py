"""feedback_push/standalone/instance.py."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from feedback_push.standalone import StartError
from feedback_push.standalone.instance import only_launcher, private_folder

HOLDING = """
import sys, time, pathlib
from feedback_push.standalone.instance import only_launcher
with only_launcher(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    private_folder(tmp_path / "some" / "instance")
    assert (tmp_path / "some" / "instance").stat().st_mode & 0o777 == 0o700


def test_an_open_folder_is_shut_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    private_folder(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("theirs", ["folder", "link"])
def test_a_folder_of_somebody_else_or_behind_their_link_is_refused(tmp_path: Path, theirs: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.chown(tmp_path / theirs, 65534, 65534, follow_symlinks=False)
    with pytest.raises(StartError, match=r"folder .* belongs to another user"):
        private_folder(tmp_path / "link")


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "instance").touch()
    with pytest.raises(StartError, match=r"Cannot use the folder .*: File exists"):
        private_folder(tmp_path / "instance")


def test_a_second_launcher_is_refused_until_the_first_has_gone_even_by_kill_9(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE) as first:
        assert first.stdout
        first.stdout.readline()
        with pytest.raises(StartError, match="already running with the folder"), only_launcher(tmp_path):
            pass
        first.kill()
    with only_launcher(tmp_path):
        pass
