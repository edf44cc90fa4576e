"""Run the benchmarks (`python -m benchmarks`, or `make bench`): print tables, and save JSON and a plot."""

import argparse
import json
import os
import platform
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks import plot, stage
from benchmarks.report import Table
from benchmarks.tables import TABLES, comparison

_RESULTS = Path(__file__).parent / "results"
_QUIET = 10.0  # percent


def main() -> int:
    """Run the measurements; exit with 0 unless something could not be measured, even if a target is missed."""
    options = _options()
    if missing := stage.missing():
        print(f"To measure, install {' and '.join(missing)}; `make test` does so on Debian.", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that our child processes are stopped
    others = psutil.cpu_percent(interval=1.0)
    conditions = {"quick": options.quick, "percent of the machine used by others": others}
    path = _RESULTS / f"{datetime.now(UTC):%Y-%m-%dT%H-%M-%SZ}.json"
    _measure(options, path, conditions)
    if others > _QUIET:
        print(f"\nOther programs used {others:.0f} % of the machine before the start: measure again when it is quiet.")
    if options.quick:
        print("\nThis was a trial run: too short for its figures to mean anything.")
    print(f"\nKept as {os.path.relpath(path)}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this project and its peers.")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=TABLES, help=f"some of: {', '.join(TABLES)}")
    parser.add_argument("--followers", type=int, metavar="N", help="of the largest broadcast; the target is 1000000")
    parser.add_argument("--quick", action="store_true", help="few and short rounds, to try the benchmarks themselves")
    return parser.parse_args()


def _measure(options: argparse.Namespace, path: Path, conditions: dict[str, Any]) -> None:
    tables: list[Table] = []
    scale = stage.QUICK if options.quick else stage.FULL
    if options.followers:
        scale = replace(scale, followers=(scale.followers[0], options.followers))
    with stage.prepared(scale) as prepared:
        for name in options.only or TABLES:
            print(f"Measuring {name} …", file=sys.stderr, flush=True)
            tables.append(TABLES[name](prepared))
            print("\n".join(tables[-1].lines()), flush=True)
            _keep(path, tables, conditions)


def _keep(path: Path, tables: list[Table], conditions: dict[str, Any]) -> None:
    machine = {"cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}
    found = conditions | machine | {"tables": {table.name: table.as_json() for table in tables}}
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(found, indent=1) + "\n")
    for table in tables:
        if table.name == "sending":
            plot.write(path.with_suffix(".svg"), comparison.bars(table))


if __name__ == "__main__":
    sys.exit(main())
