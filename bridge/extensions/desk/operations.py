"""What an extension may call the host for: names, arguments, and who does it."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from ..database.database import Database
from ..inner.messages import Call
from ..services.alert_engine import AlertEngine
from ..services.metrics_history import MetricsHistory
from .desk import Client, Desk, Operation


def taking(*types: Any) -> Callable[[Callable[..., Any]], Operation]:
    """An operation of a function that is given the arguments, checked."""

    def make(function: Callable[..., Any]) -> Operation:
        def operation(client: Client, call: Call) -> Any:
            return function(*checked(call, types))

        return operation

    return make


def checked(call: Call, types: tuple[Any, ...]) -> list[Any]:
    """Raises ValueError."""
    if len(call.arguments) != len(types):
        raise ValueError(f"{call.operation}: {len(call.arguments)} arguments, expected {len(types)}")
    try:
        return [msgspec.convert(each, kind) for each, kind in zip(call.arguments, types, strict=True)]
    except msgspec.ValidationError as error:
        raise ValueError(f"{call.operation}: {error}") from None


def of_metrics(history: MetricsHistory) -> Mapping[str, Operation]:
    """Those of `services.metrics_history`."""
    return {
        "metrics.record": taking(str, float, Any)(history.record),
        "metrics.query": taking(str, Any, Any, float, str)(history.query),
    }


def of_alerts(alerts: AlertEngine) -> Mapping[str, Operation]:
    """Those of `services.alert_engine`."""
    return {
        "alerts.define": taking(str, str, str, float, float, float, str)(alerts.define),
        "alerts.evaluate": taking()(alerts.evaluate),
        "alerts.list": taking()(alerts.list),
        "alerts.silence": taking(str, float)(alerts.silence),
        "alerts.remove": taking(str)(alerts.remove),
    }


Parameters = dict[str, Any] | list[Any]
_SQL: Final = (str, Parameters)


def sql_of(call: Call) -> list[Any]:
    """The statement and its parameters, checked: the short way for what nearly all calls are. Raises ValueError."""
    given = call.arguments
    if len(given) == 2 and type(given[0]) is str and type(given[1]) is list:
        return given
    return checked(call, _SQL)


def of_statement(function: Callable[[str, Any], Any]) -> Operation:
    """An operation of a function that is given a statement and its parameters."""

    def operation(client: Client, call: Call) -> Any:
        return function(*sql_of(call))

    return operation


def of_database(database: Database, desk: Callable[[], Desk]) -> Mapping[str, Operation]:
    """Those of `services.db`."""

    def open_(client: Client, call: Call) -> Any:
        sql, parameters = sql_of(call)
        cursor = database.open(sql, parameters)
        rows, more = database.more(cursor)
        number = desk().keep(client, call.call, cursor) if more else 0
        return number, cursor.columns, rows, more

    def next_(client: Client, call: Call) -> Any:
        (number,) = checked(call, (int,))
        if number not in client.cursors:
            raise ValueError("the iteration is over: its handler has returned")
        rows, more = database.more(client.cursors[number][1])
        if not more:
            del client.cursors[number]
        return rows, more

    def close(client: Client, call: Call) -> None:
        (number,) = checked(call, (int,))
        kept = client.cursors.pop(number, None)
        if kept is not None:
            kept[1].rows.close()

    return {
        "db.exec": taking(str)(database.exec),
        "db.prepare": taking(str)(database.prepare),
        "db.run": of_statement(database.run),
        "db.get": of_statement(database.get),
        "db.all": of_statement(database.all),
        "db.open": open_,
        "db.next": next_,
        "db.close": close,
        "db.begin": taking()(database.begin),
        "db.commit": taking(bool)(database.commit),
        "db.undo": taking(bool)(database.undo),
        "db.migrate": taking(list[str])(database.migrate),
    }
