"""The commands of the documentation name files, units and services that are there."""

import re
import shlex

from ruamel.yaml import YAML

from tests.docs.command_lines import PAGES
from tests.servers import CHECKOUT

_TEXT = "\n".join(page.read_text() for page in PAGES)
_OTHERS = {"nginx", "caddy"}  # units of Debian's packages
_COMPOSE = re.compile(r"docker compose (up|run|restart|logs)([^\n`#&|]*)")


def commands(start: str) -> list[list[str]]:
    """Return the words of each command that begins like this, in a block or between backticks."""
    found = re.findall(rf"(?:^|`|&& ){start} ([^\n`#&|]+)", _TEXT, re.MULTILINE)
    return [shlex.split(words) for words in found]


def test_every_file_that_is_copied_is_there() -> None:
    sources = [source for *copied, _ in commands("cp") for source in copied]
    assert [source for source in sources if not list(CHECKOUT.glob(source))] == []
    assert len(sources) > 5


def test_the_units_that_are_started_are_those_of_the_folder() -> None:
    words = [word for line in [*commands("systemctl"), *commands("journalctl")] for word in line]
    units = {word for word in words if word.startswith("feedback") or word in _OTHERS} - _OTHERS
    files = {re.sub(r"@\d+", "@", unit) for unit in units}
    wanted = {name if name.endswith(".socket") else f"{name}.service" for name in files}
    assert wanted == {path.name for path in (CHECKOUT / "deploy" / "systemd").iterdir()}


def test_the_words_for_containers_are_those_of_their_files() -> None:
    services = YAML(typ="safe").load(CHECKOUT / "compose.yaml")["services"]
    named = {word.partition("=")[0] for _, words in _COMPOSE.findall(_TEXT) for word in words.split()}
    assert named & services.keys() == {"web", "worker"}
    assert named - services.keys() <= {"--detach", "--build", "--rm", "--scale", "feedback-push", "user", "create",
                                       "you@example.org"}  # fmt: skip
    dockerfile = (CHECKOUT / "Dockerfile").read_text()
    for argument in re.findall(r"--build-arg (\w+)=", _TEXT):
        assert f"ARG {argument}=" in dockerfile
    for volume in re.findall(r"--volume feedback:(\S+)", _TEXT):
        assert f"VOLUME {volume}\n" in dockerfile
