"""The measurements, in the order in which they run; each module has a function `measure`."""

from collections.abc import Callable

from benchmarks.report import Table
from benchmarks.stage import Stage
from benchmarks.tables import (
    alarm,
    api,
    broadcast,
    growth,
    hanging,
    inbox,
    pausing,
    posting,
    reaction,
    sending,
    service,
    start,
    subscribing,
)

_MODULES = (
    *(service, sending, hanging, growth, posting, api, inbox, start, reaction),
    *(broadcast, alarm, pausing, subscribing),
)
TABLES: dict[str, Callable[[Stage], Table]] = {
    module.__name__.rpartition(".")[2]: module.measure for module in _MODULES
}
