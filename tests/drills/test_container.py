"""The container: the steps of the Dockerfile, and the whole site in a read-only root as a user without rights."""

import os
import sys
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests import servers
from tests.conftest import PASSWORD, make_settings
from tests.doubles.push_service import PushService
from tests.package import dockerfile
from tests.sessions import Staff
from tests.standalone.launching import READY

EMAIL = "ada@example.org"


@pytest.mark.timeout(400)
@pytest.mark.skipif(not dockerfile.can_be_carried_out(), reason="needs root on Linux, with the right to mount")
def test_the_image_is_built_and_one_container_of_it_notifies(tmp_path: Path, service: PushService) -> None:
    port = servers.free_port()
    settings = {
        "HOST": "127.0.0.1",  # the image itself listens everywhere
        "PORT": str(port),
        "ADMIN_EMAIL": EMAIL,
        "ADMIN_PASSWORD": PASSWORD,
        "PUSH_ALLOWED_HOSTS": "127.0.0.1",
        "PUSH_ALLOW_PRIVATE_ADDRESSES": "true",
        "FORM_DEFENCE": "off",
    }
    script = dockerfile.script(dockerfile.lay_context(tmp_path / "context"), settings)
    for name in ("data", "work"):
        (tmp_path / name).mkdir()
    host = {"WORK": str(tmp_path / "work"), "DATA": str(tmp_path / "data"), "PYTHON": sys.base_prefix}
    path = f"{sys.base_prefix}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    command = ["unshare", "--mount", "bash", "-c", script]
    log = tmp_path / "log"
    with servers.running(command, log, environment={**host, "PATH": path}) as container:
        healthy_or_ended = lambda: "\nhealthy\n" in log.read_text() or container.poll() is not None  # noqa: E731
        servers.wait_until(healthy_or_ended, 360, "the container's start")
        assert READY in log.read_text(), log.read_text()
        url = f"http://127.0.0.1:{port}"
        with Staff(replace(make_settings("", "", tmp_path), site_url=url)) as staff:
            staff.sign_in(EMAIL, PASSWORD)
            device = service.new_device(staff.get("/push/key").json()["applicationServerKey"])
            staff.subscribe(device)
            staff.write("Hello", name="Carol")
            assert device.wait(1)[0].json()["notification"]["title"] == "Carol:"
        family = psutil.Process(container.pid).children(recursive=True)
        assert {process.uids().effective for process in family if process.name() != "bash"} == {10001}
    assert log.read_text().endswith("Stopped.\nended with 0\nunhealthy\n")
    assert {path.stat().st_uid for path in (tmp_path / "data").rglob("*")} == {10001}
    assert "HOST=0.0.0.0" in dict(dockerfile.instructions())["ENV"]
    assert os.listdir(tmp_path / "work") == []  # noqa: PTH208
