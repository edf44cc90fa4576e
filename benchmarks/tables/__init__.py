"""The measurements, in the order in which they run; each module has a function `measure`."""

from collections.abc import Callable

from benchmarks.report import Table
from benchmarks.stage import Stage
from benchmarks.tables import growth, hanging, inbox, posting, reaction, sending, service, start

TABLES: dict[str, Callable[[Stage], Table]] = {
    module.__name__.rpartition(".")[2]: module.measure
    for module in (service, sending, hanging, growth, posting, inbox, start, reaction)
}
