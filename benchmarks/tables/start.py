"""Measure `make run`: the seconds to start, and memory and CPU of an idle site."""

import time
from dataclasses import dataclass
from statistics import median

from psutil import Process

from benchmarks import launcher, processes, site
from benchmarks.browser import Browser
from benchmarks.report import Table, Target, number
from benchmarks.stage import Stage
from benchmarks.tables import reaction

_MB = 1024 * 1024
_SETTLE = 3.0  # seconds


@dataclass(frozen=True)
class _Idle:
    members: dict[str, float]  # MB
    cpu: float  # percent of a core

    @property
    def memory(self) -> float:
        """The memory of all processes in megabytes."""
        return sum(self.members.values())


def measure(stage: Stage) -> Table:
    """Start the site several times, then measure it idle after one push."""
    starts = [_start_twice(stage) for _ in range(stage.scale.rounds)]
    first, second = (median(times) for times in zip(*starts, strict=True))
    idle = _rest(stage)
    parts = ", ".join(f"{name} {number(size)}" for name, size in idle.members.items())
    return Table(
        name="start",
        title="`make run` after its installation: SQLite and the embedded broker",
        columns=("what", "value"),
        rows=[
            ("first start to /healthz, s", number(first)),
            ("later start to /healthz, s", number(second)),
            ("idle memory, MB of PSS", number(idle.memory)),
            ("idle CPU, % of a core", number(idle.cpu)),
        ],
        notes=[f"MB of PSS: {parts}"],
        targets=[
            Target("idle memory", idle.memory, "at most", 160, "MB"),
            Target("idle CPU", idle.cpu, "at most", 0.5, "% of a core"),
        ],
        data={"starts": starts, "idle": vars(idle)},
    )


def _start_twice(stage: Stage) -> tuple[float, float]:
    folder = stage.new_folder("instance")
    url = f"sqlite:///{folder / 'feedback_push.sqlite'}"
    settings = site.settings_of(stage, folder, url, embedded_broker=True)
    with launcher.running(stage, settings) as first:
        pass
    with launcher.running(stage, settings) as second:
        pass
    return first.seconds, second.seconds


def _rest(stage: Stage) -> _Idle:
    with (
        site.made(stage, "SQLite", embedded_broker=True) as made,
        launcher.running(stage, made.settings) as launched,
    ):
        launcher.wait_until_ready(made.settings)
        run, visitor = reaction.subscribe(stage, made), Browser(made.settings)
        visitor.open_form()
        reaction.react(run, visitor)
        time.sleep(_SETTLE)
        family = launched.family()
        used = processes.cpu(family)
        time.sleep(stage.scale.idle_seconds)
        cpu = 100 * (processes.cpu(family) - used) / stage.scale.idle_seconds
        members = [(_role(member), processes.pss([member]) / _MB) for member in family]
    sizes: dict[str, float] = {}
    for name, size in members:
        sizes[name] = sizes.get(name, 0.0) + size
    return _Idle(sizes, cpu)


def _role(member: Process) -> str:
    name = member.name()
    return name if name in {"web server", "worker"} else "broker" if "valkey" in name or "redis" in name else "launcher"
