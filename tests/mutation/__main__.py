"""`python -m tests.mutation [WORD …]`: apply each mutation of mutations.toml to a copy and count the tests that see it.

A mutation is caught if one of its tests fails. With words, only the mutations whose file or replacement has one of them
are tried. The exit code is 1 if any of them survives. Your own checkout stays as it is.
"""

import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

CHECKOUT = Path(__file__).parents[2]
_AT_ONCE = 2
_LEFT_OUT = shutil.ignore_patterns(".*", "instance", "node_modules", "__pycache__")
_FAILED, _SECONDS = 1, 600


@dataclass(frozen=True)
class Mutation:
    """One line of a file and its replacement, with the tests that guard it (paths for pytest)."""

    file: str
    line: str
    replacement: str
    tests: tuple[str, ...]

    def matches(self, words: list[str]) -> bool:
        """Return whether it has one of these words, or whether there are none."""
        return not words or any(word in f"{self.file} {self.replacement}" for word in words)


def main(words: list[str]) -> int:
    """Try the mutations and print each result; return the exit code."""
    mutations = [mutation for mutation in read() if mutation.matches(words)]
    with tempfile.TemporaryDirectory(prefix="feedback-push-mutation-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(_AT_ONCE):
            copies.put(_copy(Path(folder) / str(number)))
        _require_green(Path(folder) / "0", mutations)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            caught = sum(pool.map(lambda mutation: _is_caught(mutation, copies), mutations))
    print(f"{caught} of {len(mutations)} mutations were caught.")
    return 0 if caught == len(mutations) else 1


def read() -> list[Mutation]:
    """Return the mutations of mutations.toml."""
    data = tomllib.loads(Path(__file__).with_name("mutations.toml").read_text())
    return [
        Mutation(file, each["line"], each["replacement"], tuple(each.get("tests", group["tests"])))
        for file, group in data.items()
        for each in group["mutations"]
    ]


def _copy(folder: Path) -> Path:
    shutil.copytree(CHECKOUT, folder, ignore=_LEFT_OUT)
    return folder


def _require_green(copy: Path, mutations: list[Mutation]) -> None:
    # A test that is red anyway would catch everything.
    guards = sorted({test for mutation in mutations for test in mutation.tests})
    if _tests_fail(copy, *guards):
        raise SystemExit("The tests fail before anything is broken.")


def _is_caught(mutation: Mutation, copies: "SimpleQueue[Path]") -> bool:
    copy = copies.get()
    path = copy / mutation.file
    text = path.read_text()
    if text.count(mutation.line) != 1:
        raise SystemExit(f"{mutation.file} must hold this exactly once: {mutation.line}")
    began = time.monotonic()
    try:
        path.write_text(text.replace(mutation.line, mutation.replacement))
        caught = _tests_fail(copy, *mutation.tests)
    finally:
        path.write_text(text)
        copies.put(copy)
    words = "caught  " if caught else "SURVIVED"
    print(f"{words} {time.monotonic() - began:4.0f} s  {mutation.file}: {mutation.replacement.strip()}", flush=True)
    return caught


def _tests_fail(copy: Path, *tests: str) -> bool:
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    try:
        result = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return True
    if result.returncode not in (0, _FAILED):
        raise SystemExit(f"pytest could not run {tests}:\n{result.stdout[-2000:]}{result.stderr[-2000:]}")
    return result.returncode == _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
