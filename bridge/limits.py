"""Every limit of the bridge, in one place: its default, its unit, what it bounds, and how it is set.

A limit is set with ``--set name=value`` or the environment variable ``SPANBRIDGE_NAME``; the first wins.
"""

from __future__ import annotations  # the start does not wait until all are made

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Annotated, Any, Final, get_args, get_type_hints

import msgspec
from msgspec import Meta


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one bridge process. Names that end in `_bytes` are bytes, those in `_seconds` seconds.

    A number is above 0, unless its Meta allows 0; `pattern` tells what a word or a list may be.
    """

    frame_bytes: Annotated[int, Meta(description="longest frame taken from anyone")] = 99_999_999
    control_bytes: Annotated[int, Meta(description="longest control message")] = 4 << 20
    channel_id_bytes: Annotated[int, Meta(description="longest channel id")] = 8_192
    channels: Annotated[int, Meta(description="channels open at once")] = 100_000
    read_bytes: Annotated[
        int, Meta(description="most bytes read from one stream before the others have their turn")
    ] = 256 << 10
    pipe_bytes: Annotated[int, Meta(description="size that a busy pipe is enlarged to")] = 1 << 20
    large_pipes: Annotated[int, Meta(description="pipes enlarged at once")] = 16
    helper_queue_bytes: Annotated[
        int, Meta(description="bytes waiting for one helper before the front end is read no more")
    ] = 16 << 20
    front_queue_bytes: Annotated[
        int, Meta(description="bytes of our own answers waiting for the front end before it is read no more")
    ] = 16 << 20
    stuck_seconds: Annotated[
        float, Meta(description="how long a helper may take nothing, or answer no close, while something waits")
    ] = 30.0
    stall_seconds: Annotated[
        float,
        Meta(description="how long a helper may leave a frame unfinished, or a bus a message, and say nothing more"),
    ] = 30.0
    handshake_seconds: Annotated[float, Meta(description="how long a helper may take to send its init")] = 30.0
    close_answer_seconds: Annotated[
        float, Meta(description="how long an open waits for the helper's answer to the close of the same id")
    ] = 2.0
    refusal_bytes: Annotated[
        int, Meta(description="longest init with a problem that is passed on whole to the opens that wait")
    ] = 16 << 10
    closed_ids: Annotated[
        int, Meta(description="closed channels remembered for each helper: what it says of them is late")
    ] = 16_384
    exit_seconds: Annotated[float, Meta(description="how long a helper may take to exit once its stdin is closed")] = (
        2.0
    )
    term_seconds: Annotated[float, Meta(description="how long it may take after SIGTERM, before SIGKILL")] = 2.0
    last_words_seconds: Annotated[
        float,
        Meta(description="how long a helper that closed its stdout, or stdin, may take to exit before it is ended"),
    ] = 2.0
    helpers_per_rule: Annotated[int, Meta(description="helper processes of one rule")] = 64
    helpers: Annotated[int, Meta(description="helper processes in all")] = 256
    start_failures: Annotated[
        int, Meta(description="failed starts of a command, within start_failures_seconds, before it rests")
    ] = 3
    start_failures_seconds: Annotated[float, Meta(description="the time in which start_failures are counted")] = 10.0
    backoff_seconds: Annotated[float, Meta(description="how long such a rule rests at first; doubled each time")] = 1.0
    backoff_most_seconds: Annotated[float, Meta(description="how long it rests at most")] = 30.0
    stderr_line_bytes: Annotated[int, Meta(description="how much of a helper's line of stderr is logged")] = 2_048
    manifest_bytes: Annotated[int, Meta(description="largest manifest or override file read")] = 1 << 20
    max_depth: Annotated[int, Meta(description="bridges that may start one another in a chain")] = 8
    stderr_seconds: Annotated[
        float, Meta(description="how long a privileged bridge waits for the stderr that it has asked for")
    ] = 2.0
    sudo_seconds: Annotated[
        float, Meta(description="how long `sudo --help` may take, which tells whether it can ask through a program")
    ] = 1.0
    systemd_seconds: Annotated[
        float, Meta(description="how long systemd may take to start a privileged bridge: somebody may have to be asked")
    ] = 600.0
    ssh_agent_seconds: Annotated[float, Meta(description="how long a session's own ssh-agent may take to start")] = 5.0
    status_seconds: Annotated[
        float, Meta(description="how long `spanbridge status` may take to read what it is told")
    ] = 2.0
    bus_backlog_bytes: Annotated[
        int,
        Meta(
            description="messages of one channel of a bus that wait for the front end to take answers, or for an object"
        ),
    ] = 8 << 20
    bus_message_bytes: Annotated[
        int, Meta(description="longest message of a front end to a bus, the internal one too")
    ] = 4 << 20
    bus_answers_bytes: Annotated[
        int, Meta(description="bytes that one channel has to tell before its bus is read no more")
    ] = 1 << 20
    bus_calls: Annotated[
        int, Meta(description="calls of one channel of the internal bus that are not answered yet")
    ] = 256
    bus_watches: Annotated[
        int, Meta(description="watches of one channel of the internal bus, and separately its matches")
    ] = 1_024
    bus_described: Annotated[
        int, Meta(description="interfaces that the front end may describe on one channel of the internal bus")
    ] = 1_024
    package_answers: Annotated[
        int, Meta(description="answers with package files in the making at once; each holds one file open")
    ] = 32
    package_files: Annotated[
        int, Meta(description="files of one package that are listed; one with more has no part in a checksum")
    ] = 100_000
    watched_directories: Annotated[
        int, Meta(description="directories watched for changes; a user may have some 8000 watches in all")
    ] = 2_048
    programs: Annotated[int, Meta(description="programs running at once that channels have started")] = 1024
    channel_queue_bytes: Annotated[
        int, Meta(description="bytes waiting for one program, socket or file before the front end is read no more")
    ] = 16 << 20
    channels_queue_bytes: Annotated[
        int, Meta(description="the same for all channels together that the bridge serves itself")
    ] = 64 << 20
    channel_pings: Annotated[int, Meta(description="pings of one channel that wait for what came before them")] = 1024
    window_bytes: Annotated[int, Meta(description="bytes under way on a channel with flow-control")] = 2 << 20
    stderr_bytes: Annotated[int, Meta(description="how much of a program's stderr a close tells: its end")] = 64 << 10
    connect_seconds: Annotated[
        float, Meta(description="how long connecting a socket may take, names and TLS included")
    ] = 30.0
    lookups: Annotated[int, Meta(description="names of hosts that are looked up at once; later ones wait")] = 64
    directory_seconds: Annotated[
        float, Meta(description="how long the directory that a program of a channel starts in may take to answer")
    ] = 30.0
    spawn_kill_seconds: Annotated[
        float, Meta(ge=0, description="when SIGKILL follows on SIGTERM for a program whose channel is closed; 0: never")
    ] = 0.0
    file_jobs: Annotated[
        int, Meta(description="file operations at once; one that takes over file_job_seconds gives up its place")
    ] = 32
    file_job_seconds: Annotated[float, Meta(description="how long a file operation keeps its place")] = 1.0
    file_threads: Annotated[
        int, Meta(description="file operations that have not returned, before an open that needs one is refused")
    ] = 512
    info_entries: Annotated[int, Meta(description="entries of a directory that fsinfo tells")] = 1_000_000
    watch_names: Annotated[
        int, Meta(description="changed names that wait on one watch; with more, all is one change")
    ] = 10_000
    watch_look_seconds: Annotated[
        float, Meta(description="how often a watched path is looked at whose changes are not told")
    ] = 2.0
    http_connections: Annotated[int, Meta(description="HTTP and WebSocket connections at once; later ones wait")] = 1024
    http_connections_per_name: Annotated[
        int, Meta(description="HTTP connections of one name at once; further requests wait")
    ] = 16
    http_kept: Annotated[int, Meta(description="idle HTTP connections that are kept")] = 8
    http_kept_seconds: Annotated[
        float, Meta(description="how long an idle HTTP connection, or a name without one, is kept")
    ] = 30.0
    websocket_bytes: Annotated[int, Meta(description="longest message of a WebSocket server")] = 16 << 20
    websocket_close_seconds: Annotated[
        float, Meta(description="how long a WebSocket server may take to answer a close frame")
    ] = 5.0
    dbus_calls: Annotated[int, Meta(description="calls of one D-Bus channel that are not answered yet")] = 4096
    dbus_published_calls: Annotated[
        int, Meta(description="calls of what one D-Bus channel has published that are not answered yet")
    ] = 1024
    dbus_watches: Annotated[int, Meta(description="watches of one D-Bus channel, and separately its matches")] = 65_536
    dbus_objects: Annotated[int, Meta(description="objects that a watch of a D-Bus channel reaches")] = 100_000
    dbus_sent_calls: Annotated[
        int, Meta(description="calls that a connection to a bus has out at once; later ones wait")
    ] = 100
    dbus_sent_more: Annotated[
        int, Meta(description="calls that may be out beside those that were not answered for dbus_sent_seconds")
    ] = 20
    dbus_sent_seconds: Annotated[
        float, Meta(description="how long a bus may answer nothing before the calls that wait go out all the same")
    ] = 1.0
    dbus_queue_bytes: Annotated[
        int, Meta(description="bytes waiting for one bus before the front end is read no more")
    ] = 16 << 20
    dbus_waiting: Annotated[
        int, Meta(description="messages of one D-Bus peer that wait for an earlier one, before that one is given up")
    ] = 16_384
    dbus_waiting_bytes: Annotated[
        int,
        Meta(
            description="bytes of what waits so from one bus, before it is read no more; or of the calls of one channel"
        ),
    ] = 64 << 20
    dbus_described_bytes: Annotated[
        int,
        Meta(description="JSON of the interfaces that one D-Bus service, or the front end on one channel, describes"),
    ] = 8 << 20
    dbus_answer_seconds: Annotated[
        float, Meta(description="how long a D-Bus service may take to answer a question of the bridge itself")
    ] = 30.0
    dbus_descriptors: Annotated[
        int, Meta(description="descriptors that came on one D-Bus channel and were not opened yet")
    ] = 64
    dbus_descriptors_seconds: Annotated[float, Meta(description="how long they are kept")] = 60.0
    dbus_descriptors_waiting: Annotated[
        int, Meta(description="descriptors of messages from one bus that are not whole yet")
    ] = 1024
    dbus_linger_seconds: Annotated[
        float, Meta(description="how long a connection to a bus outlives its last channel")
    ] = 10.0
    metric_instances: Annotated[int, Meta(description="instances of one metric")] = 10_000
    hosts: Annotated[
        int, Meta(ge=0, description="connections to other hosts, by ssh or by a rule that names host; 0: none by ssh")
    ] = 256
    host_starts: Annotated[int, Meta(description="connections to other hosts that are coming up at once")] = 16
    host_start_seconds: Annotated[float, Meta(description="how long one that comes up counts among host_starts")] = 1.0
    host_version_seconds: Annotated[float, Meta(description="how long `ssh -V` may take, which tells what ssh can")] = (
        5.0
    )
    host_pack_seconds: Annotated[float, Meta(description="how long packing a bridge that is sent may take")] = 60.0
    host_queue_bytes: Annotated[int, Meta(description="bytes waiting for a host that is not connected yet")] = 1 << 20
    host_noise_bytes: Annotated[
        int, Meta(description="what login scripts of a host may print before its bridge speaks")
    ] = 64 << 10
    host_connect_seconds: Annotated[float, Meta(description="how long connecting to a host may take")] = 30.0
    host_idle_seconds: Annotated[float, Meta(description="how long a connection without channels is kept")] = 30.0
    host_alive_seconds: Annotated[
        float, Meta(ge=0, description="how often ssh asks whether the host is there; 0: as ssh_config says")
    ] = 15.0
    host_prompt_seconds: Annotated[float, Meta(description="how long a question of ssh waits for an answer")] = 120.0
    host_send: Annotated[int, Meta(ge=0, description="whether a bridge is sent to hosts that have none; 0: no")] = 1
    extension_body_bytes: Annotated[int, Meta(description="body of a request to an extension")] = 1 << 20
    extension_bodies_bytes: Annotated[int, Meta(description="bodies of the requests to all extensions together")] = (
        64 << 20
    )
    extension_request_seconds: Annotated[float, Meta(description="how long an extension may take to answer")] = 30.0
    extension_start_seconds: Annotated[float, Meta(description="how long an extension may take to start")] = 10.0
    extension_start_failures: Annotated[
        int, Meta(description="failed starts of an extension, within extension_start_failures_seconds, before it rests")
    ] = 3
    extension_start_failures_seconds: Annotated[
        float, Meta(description="the time in which extension_start_failures are counted")
    ] = 10.0
    extension_backoff_seconds: Annotated[
        float, Meta(description="how long such an extension rests at first; doubled each time")
    ] = 1.0
    extension_backoff_most_seconds: Annotated[float, Meta(description="how long it rests at most")] = 60.0
    extension_drain_seconds: Annotated[
        float, Meta(description="how long an extension that was replaced may take for the requests it has")
    ] = 30.0
    extension_ping_seconds: Annotated[
        float, Meta(description="how often an extension that has something to do is asked whether it lives")
    ] = 10.0
    extension_pong_seconds: Annotated[float, Meta(description="how long it may take to answer that")] = 1.0
    extension_query_seconds: Annotated[float, Meta(description="how long one statement of SQL may take")] = 10.0
    extension_busy_seconds: Annotated[
        float, Meta(description="how long a statement of SQL waits for the transaction of another handler, or program")
    ] = 5.0
    extension_iterations: Annotated[
        int, Meta(description="results of SQL that one extension iterates over at once")
    ] = 64
    extension_reply_seconds: Annotated[
        float, Meta(description="how long an extension may take nothing of what the host replies")
    ] = 10.0
    extension_database_bytes: Annotated[int, Meta(description="database of one extension")] = 256 << 20
    extension_memory_bytes: Annotated[int, Meta(description="memory of one extension, and of SQLite in the host")] = (
        512 << 20
    )
    extension_files_bytes: Annotated[int, Meta(description="files of one extension")] = 256 << 20
    extension_descriptors: Annotated[int, Meta(description="descriptors of one extension")] = 256
    extension_threads: Annotated[int, Meta(description="threads of one process of an extension")] = 512
    extension_look_seconds: Annotated[
        float, Meta(description="how often memory, threads and files of an extension that runs are looked at")
    ] = 10.0
    extension_node_seconds: Annotated[float, Meta(description="how long `node --version` may take")] = 5.0
    extension_metrics: Annotated[int, Meta(description="metrics of one extension")] = 1_000
    extension_alerts: Annotated[int, Meta(description="alerts of one extension")] = 1_000
    extension_alert_seconds: Annotated[float, Meta(description="how often alerts are looked at")] = 15.0
    extension_message_bytes: Annotated[int, Meta(description="message between an extension and its host")] = 16 << 20
    extension_events: Annotated[int, Meta(description="events of one extension that are kept for replay")] = 1_000
    extension_events_bytes: Annotated[int, Meta(description="events of one extension that are kept for replay")] = (
        16 << 20
    )
    extension_events_waiting_bytes: Annotated[
        int, Meta(description="events that wait for one channel; then the oldest go")
    ] = 1 << 20
    extension_audit_bytes: Annotated[int, Meta(description="audit log of all extensions together")] = 1 << 30
    extension_log_bytes: Annotated[int, Meta(description="host.log, of which one older one is kept")] = 4 << 20
    extension_log_lines: Annotated[
        int, Meta(description="lines that one extension may print into host.log in a second")
    ] = 200
    extension_deliveries: Annotated[int, Meta(description="webhooks and pushes that wait")] = 10_000
    extension_deliveries_bytes: Annotated[
        int, Meta(description="webhooks and pushes that wait, or could not be delivered, together")
    ] = 64 << 20
    extension_deliveries_at_once: Annotated[int, Meta(description="webhooks and pushes under way at once")] = 8
    extension_delivery_seconds: Annotated[
        float, Meta(description="how long one try to deliver a webhook or a push may take")
    ] = 15.0
    extension_waiting: Annotated[int, Meta(description="requests of one extension that are not answered yet")] = 2048
    extension_linger_seconds: Annotated[
        float, Meta(description="how long the host of extensions outlives its last session")
    ] = 10.0
    extension_last_words_seconds: Annotated[
        float, Meta(description="how long the host of extensions sends on what a session waits for at its end")
    ] = 1.0
    extension_delivery_retries: Annotated[
        str,
        Meta(pattern=r"[0-9]+(,[0-9]+)*", description="seconds before each new try to deliver a webhook or a push"),
    ] = "5,300,1800,7200,18000"
    extension_delivery_allow: Annotated[
        str,
        Meta(pattern=r"([0-9A-Fa-f.:/]+(,[0-9A-Fa-f.:/]+)*)?", description="private networks that may be delivered to"),
    ] = ""
    extension_sandbox: Annotated[
        str, Meta(pattern="best|required", description="whether an extension may run where the kernel has no Landlock")
    ] = "best"


@cache
def _hints() -> Mapping[str, Any]:
    return get_type_hints(Limits, include_extras=True)


def _parts(name: str) -> tuple[type, Meta]:
    kind, meta = get_args(_hints()[name])
    return kind, meta


def descriptions() -> dict[str, str]:
    """What each limit bounds, by its name."""
    return {name: _parts(name)[1].description or "" for name in Limits.__struct_fields__}


VARIABLE_PREFIX: Final = "SPANBRIDGE_"
_ALIKE: Final = "SPAN"  # how a variable begins that may have been meant for us
_RELOAD: Final = f"{VARIABLE_PREFIX}RELOAD_ON_CHANGE"
_OTHER_VARIABLES: Final = frozenset(
    {f"{VARIABLE_PREFIX}{name}" for name in ("DEBUG", "DEPTH", "RELOAD_ON_CHANGE", "RULE")}
)


class SettingError(ValueError):
    """A setting that names no limit, or a value that does not fit."""


def read_limits(settings: Iterable[str], environ: Mapping[str, str]) -> Limits:
    """Limits from `name=value` settings, then from the environment, then the defaults.

    Raises SettingError that says which setting, what it is, and what was expected.
    """
    values: dict[str, Any] = {}
    given = {variable: text for variable, text in environ.items() if variable.startswith(VARIABLE_PREFIX)}
    for name in Limits.__struct_fields__ if given else ():
        variable = VARIABLE_PREFIX + name.upper()
        if given.get(variable):  # an empty one is one that is not set
            values[name] = _value(variable, name, given[variable])
    for setting in settings:
        name, equals, text = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in Limits.__struct_fields__:
            meant = _nearest(name, Limits.__struct_fields__)
            hint = f"; did you mean {meant}?" if meant else "; --help lists them"
            raise SettingError(f"--set {setting}: expected NAME=VALUE, with the name of a limit{hint}")
        values[name] = _value(f"--set {name}", name, text)
    return Limits(**values)


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """What there is to say of variables that are most likely a slip for one of ours, or have a value that is none."""
    alike = [name for name in environ if _folded(name).startswith(_ALIKE)]
    if not alike:  # as on most starts, which do not wait for the names of all limits
        return []
    ours = {VARIABLE_PREFIX + name.upper() for name in Limits.__struct_fields__} | _OTHER_VARIABLES
    unknown = sorted(name for name in alike if name not in ours)
    slips = [(name, _meant(_folded(name), ours)) for name in unknown]
    told = [f"{name} means nothing; did you mean {meant}?" for name, meant in slips if meant]
    value = environ.get(_RELOAD, "")
    if value not in ("", "0", "1"):
        told.append(f"{_RELOAD}={value} means nothing; expected 1, or 0")
    return told


def _folded(name: str) -> str:
    return name.upper().replace("-", "_")


def _meant(name: str, ours: Iterable[str]) -> str:
    """The one that is spelt nearly so, or that goes on with its unit."""
    units = [each for each in ours if each.startswith(f"{name}_") and name != VARIABLE_PREFIX.rstrip("_")]
    return _nearest(name, ours) or (units[0] if len(units) == 1 else "")


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, list(known), 1, 0.85)), "")


def _value(where: str, name: str, text: str) -> Any:
    kind, meta = _parts(name)
    if meta.pattern is not None:
        import re

        if re.fullmatch(meta.pattern, text) is None:
            raise SettingError(f"{where}={text}: expected {_LISTS.get(name, meta.pattern.replace('|', ' or '))}")
        return text
    try:
        value = kind(text)
    except ValueError:
        value = -1
    if not 0 <= value < float("inf") or (value == 0 and meta.ge is None):
        least = "above 0" if meta.ge is None else "of 0 or more"
        raise SettingError(f"{where}={text}: expected {'a whole number' if kind is int else 'a number'} {least}")
    return value


_LISTS: Final = {
    "extension_delivery_retries": "whole numbers of seconds with commas between",
    "extension_delivery_allow": "networks such as 10.0.0.0/8 with commas between",
}


def explain() -> str:
    """One line a limit, for --help."""
    defaults = Limits()
    rows = [(f"{name}={getattr(defaults, name)}", text) for name, text in descriptions().items()]
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left:<{width}}  {text}" for left, text in rows)
