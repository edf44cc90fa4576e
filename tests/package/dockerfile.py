"""Carry out the Dockerfile without a container engine, as root on Linux: each step in a root of its own.

Each stage is an overlay on this machine's own root file system, so its base image is this machine. COPY copies only
what .dockerignore lets through. RUN, HEALTHCHECK and CMD run in the stage with the Dockerfile's variables, folder and
user. At the end, the root of the last stage is read-only, and only its volume can be written.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from tests.servers import CHECKOUT

_PRELUDE = """\
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs "$WORK"
open_stage() {
    mkdir -p "$WORK/$1/upper" "$WORK/$1/work" "$WORK/$1/root"
    ROOT="$WORK/$1/root"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/$1/upper,workdir=$WORK/$1/work" "$ROOT"
    mount --bind /proc "$ROOT/proc"
    mount -t tmpfs -o nosuid,mode=755 tmpfs "$ROOT/dev"
    mkdir -m 1777 "$ROOT/dev/shm"
    for device in null zero random urandom; do
        touch "$ROOT/dev/$device"
        mount --bind "/dev/$device" "$ROOT/dev/$device"
    done
    for file in /etc/resolv.conf /etc/hosts; do mount --bind "$file" "$ROOT$file"; done
    folder="$PYTHON"  # the user of the image must get at the base image's Python
    while [ "$folder" != / ]; do chmod o+rx "$ROOT$folder"; folder=$(dirname "$folder"); done
}
"""
_SERVE = """\
mount -o remount,bind,ro "$ROOT"
mount --bind "$DATA" "$ROOT{volume}"
chown {user} "$ROOT{volume}"
{command} &
trap 'kill -TERM $!' TERM
until {check}; do sleep 0.2; done
echo healthy
wait $! || wait $! && echo "ended with $?"
{check} || echo unhealthy
"""


@cache
def can_be_carried_out() -> bool:
    """Return whether this process may mount in a namespace of its own."""
    command = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return sys.platform == "linux" and os.geteuid() == 0 and subprocess.run(command, check=False).returncode == 0


def instructions() -> list[tuple[str, str]]:
    """Return the name and the arguments of each instruction."""
    lines = re.sub(r"^#.*\n", "", (CHECKOUT / "Dockerfile").read_text(), flags=re.MULTILINE)
    joined = re.sub(r"\\\n\s*", "", lines)
    return [(name, rest) for name, _, rest in (line.partition(" ") for line in joined.splitlines() if line.strip())]


def lay_context(folder: Path) -> Path:
    """Copy what .dockerignore lets through into a folder, and return it."""
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert [line for line in lines if line and line[0] not in "#!"] == ["*", "**/__pycache__"]
    for name in (line[1:] for line in lines if line.startswith("!")):
        source, target = CHECKOUT / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return folder


def script(context: Path, settings: dict[str, str]) -> str:
    """Return the shell script that builds the image and runs it with these settings, as a container."""
    lines, state = [_PRELUDE], _State(settings)
    for name, rest in instructions():
        lines += state.step(name, rest, context)
    return "\n".join([*lines, state.serve()])


class _State:
    """The variables, folder and user at a step."""

    def __init__(self, settings: dict[str, str]) -> None:
        self._settings = settings
        self._stages: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._folder, self._user, self._volume = "/", "0:0", ""
        self._variables: dict[str, str] = {}
        self._command: list[str] = []
        self._check: list[str] = []

    def step(self, name: str, rest: str, context: Path) -> list[str]:
        """Return the script of an instruction."""
        if name == "FROM":
            self._begin()
            self._stages.append(rest.partition(" AS ")[2] or "last")
            return [f"open_stage {self._stages[-1]}"]
        if name == "COPY":
            return [self._copy(rest.split(), context)]
        if name == "RUN":
            return [self._run(["sh", "-ec", rest], {})]
        self._note(name, rest)
        return [f'mkdir -p "$ROOT{rest}"'] if name == "WORKDIR" else []

    def _note(self, name: str, rest: str) -> None:
        match name:
            case "ENV":
                self._variables |= dict(pair.split("=", 1) for pair in rest.split())
            case "WORKDIR":
                self._folder = rest
            case "USER":
                self._user = rest
            case "VOLUME":
                self._volume = rest
            case "CMD":
                self._command = json.loads(rest)
            case "HEALTHCHECK":
                self._check = json.loads(rest.partition(" CMD ")[2])
            case _:
                assert name in ("ARG", "EXPOSE"), f"not carried out: {name}"

    def serve(self) -> str:
        """Return the script that runs the image."""
        command, check = (self._run(words, self._settings) for words in (self._command, self._check))
        return _SERVE.format(command=command, check=check, volume=self._volume, user=self._user)

    def _copy(self, words: list[str], context: Path) -> str:
        base = shlex.quote(str(context))
        if words[0].startswith("--from="):
            base = f"$WORK/{words.pop(0).removeprefix('--from=')}/root"
        *sources, target = words
        folder = target if target.endswith("/") else str(Path(target).parent)
        absolute, made = (os.path.normpath(Path(self._folder, path)) for path in (target, folder))
        copied = " ".join(f"{base}/{source.lstrip('/')}" for source in sources)
        return f'mkdir -p "$ROOT{made}" && cp -a {copied} "$ROOT{absolute}"'

    def _run(self, words: list[str], settings: dict[str, str]) -> str:
        variables = " ".join(f'{name}="{value}"' for name, value in {**self._variables, **settings}.items())
        own = f"export {variables};" if variables else ""
        inside = f"cd {self._folder}; exec {shlex.join(words)}"
        return f'({own} exec chroot --userspec={self._user} "$ROOT" /bin/sh -c {shlex.quote(inside)})'
