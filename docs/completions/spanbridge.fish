# Completion of spanbridge for fish: share/fish/vendor_completions.d/spanbridge.fish

function __spanbridge_limits
    # limits
    printf '%s=\t%s\n' frame_bytes 'longest frame taken from anyone'
    printf '%s=\t%s\n' control_bytes 'longest control message'
    printf '%s=\t%s\n' channel_id_bytes 'longest channel id'
    printf '%s=\t%s\n' channels 'channels open at once'
    printf '%s=\t%s\n' read_bytes 'most bytes read from one stream before the others have their turn'
    printf '%s=\t%s\n' pipe_bytes 'size that a busy pipe is enlarged to'
    printf '%s=\t%s\n' large_pipes 'pipes enlarged at once'
    printf '%s=\t%s\n' helper_queue_bytes 'bytes waiting for one helper before the front end is read no more'
    printf '%s=\t%s\n' front_queue_bytes 'bytes of our own answers waiting for the front end before it is read no more'
    printf '%s=\t%s\n' stuck_seconds 'how long a helper may take nothing, or answer no close, while something waits'
    printf '%s=\t%s\n' stall_seconds 'how long a helper may leave a frame unfinished, or a bus a message, and say nothing more'
    printf '%s=\t%s\n' handshake_seconds 'how long a helper may take to send its init'
    printf '%s=\t%s\n' close_answer_seconds 'how long an open waits for the helper'\''s answer to the close of the same id'
    printf '%s=\t%s\n' refusal_bytes 'longest init with a problem that is passed on whole to the opens that wait'
    printf '%s=\t%s\n' closed_ids 'closed channels remembered for each helper: what it says of them is late'
    printf '%s=\t%s\n' exit_seconds 'how long a helper may take to exit once its stdin is closed'
    printf '%s=\t%s\n' term_seconds 'how long it may take after SIGTERM, before SIGKILL'
    printf '%s=\t%s\n' last_words_seconds 'how long a helper that closed its stdout, or stdin, may take to exit before it is ended'
    printf '%s=\t%s\n' helpers_per_rule 'helper processes of one rule'
    printf '%s=\t%s\n' helpers 'helper processes in all'
    printf '%s=\t%s\n' start_failures 'failed starts of a command, within start_failures_seconds, before it rests'
    printf '%s=\t%s\n' start_failures_seconds 'the time in which start_failures are counted'
    printf '%s=\t%s\n' backoff_seconds 'how long such a rule rests at first; doubled each time'
    printf '%s=\t%s\n' backoff_most_seconds 'how long it rests at most'
    printf '%s=\t%s\n' stderr_line_bytes 'how much of a helper'\''s line of stderr is logged'
    printf '%s=\t%s\n' manifest_bytes 'largest manifest or override file read'
    printf '%s=\t%s\n' max_depth 'bridges that may start one another in a chain'
    printf '%s=\t%s\n' stderr_seconds 'how long a privileged bridge waits for the stderr that it has asked for'
    printf '%s=\t%s\n' sudo_seconds 'how long sudo --help may take, which tells whether it can ask through a program'
    printf '%s=\t%s\n' systemd_seconds 'how long systemd may take to start a privileged bridge: somebody may have to be asked'
    printf '%s=\t%s\n' ssh_agent_seconds 'how long a session'\''s own ssh-agent may take to start'
    printf '%s=\t%s\n' status_seconds 'how long spanbridge status may take to read what it is told'
    printf '%s=\t%s\n' bus_backlog_bytes 'messages of one channel of a bus that wait for the front end to take answers, or for an object'
    printf '%s=\t%s\n' bus_message_bytes 'longest message of a front end to a bus, the internal one too'
    printf '%s=\t%s\n' bus_answers_bytes 'bytes that one channel has to tell before its bus is read no more'
    printf '%s=\t%s\n' bus_calls 'calls of one channel of the internal bus that are not answered yet'
    printf '%s=\t%s\n' bus_watches 'watches of one channel of the internal bus, and separately its matches'
    printf '%s=\t%s\n' bus_described 'interfaces that the front end may describe on one channel of the internal bus'
    printf '%s=\t%s\n' package_answers 'answers with package files in the making at once; each holds one file open'
    printf '%s=\t%s\n' package_files 'files of one package that are listed; one with more has no part in a checksum'
    printf '%s=\t%s\n' watched_directories 'directories watched for changes; a user may have some 8000 watches in all'
    printf '%s=\t%s\n' programs 'programs running at once that channels have started'
    printf '%s=\t%s\n' channel_queue_bytes 'bytes waiting for one program, socket or file before the front end is read no more'
    printf '%s=\t%s\n' channels_queue_bytes 'the same for all channels together that the bridge serves itself'
    printf '%s=\t%s\n' channel_pings 'pings of one channel that wait for what came before them'
    printf '%s=\t%s\n' window_bytes 'bytes under way on a channel with flow-control'
    printf '%s=\t%s\n' stderr_bytes 'how much of a program'\''s stderr a close tells: its end'
    printf '%s=\t%s\n' connect_seconds 'how long connecting a socket may take, names and TLS included'
    printf '%s=\t%s\n' lookups 'names of hosts that are looked up at once; later ones wait'
    printf '%s=\t%s\n' directory_seconds 'how long the directory that a program of a channel starts in may take to answer'
    printf '%s=\t%s\n' spawn_kill_seconds 'when SIGKILL follows on SIGTERM for a program whose channel is closed; 0: never'
    printf '%s=\t%s\n' file_jobs 'file operations at once; one that takes over file_job_seconds gives up its place'
    printf '%s=\t%s\n' file_job_seconds 'how long a file operation keeps its place'
    printf '%s=\t%s\n' file_threads 'file operations that have not returned, before an open that needs one is refused'
    printf '%s=\t%s\n' info_entries 'entries of a directory that fsinfo tells'
    printf '%s=\t%s\n' watch_names 'changed names that wait on one watch; with more, all is one change'
    printf '%s=\t%s\n' watch_look_seconds 'how often a watched path is looked at whose changes are not told'
    printf '%s=\t%s\n' http_connections 'HTTP and WebSocket connections at once; later ones wait'
    printf '%s=\t%s\n' http_connections_per_name 'HTTP connections of one name at once; further requests wait'
    printf '%s=\t%s\n' http_kept 'idle HTTP connections that are kept'
    printf '%s=\t%s\n' http_kept_seconds 'how long an idle HTTP connection, or a name without one, is kept'
    printf '%s=\t%s\n' websocket_bytes 'longest message of a WebSocket server'
    printf '%s=\t%s\n' websocket_close_seconds 'how long a WebSocket server may take to answer a close frame'
    printf '%s=\t%s\n' dbus_calls 'calls of one D-Bus channel that are not answered yet'
    printf '%s=\t%s\n' dbus_published_calls 'calls of what one D-Bus channel has published that are not answered yet'
    printf '%s=\t%s\n' dbus_watches 'watches of one D-Bus channel, and separately its matches'
    printf '%s=\t%s\n' dbus_objects 'objects that a watch of a D-Bus channel reaches'
    printf '%s=\t%s\n' dbus_sent_calls 'calls that a connection to a bus has out at once; later ones wait'
    printf '%s=\t%s\n' dbus_sent_more 'calls that may be out beside those that were not answered for dbus_sent_seconds'
    printf '%s=\t%s\n' dbus_sent_seconds 'how long a bus may answer nothing before the calls that wait go out all the same'
    printf '%s=\t%s\n' dbus_queue_bytes 'bytes waiting for one bus before the front end is read no more'
    printf '%s=\t%s\n' dbus_waiting 'messages of one D-Bus peer that wait for an earlier one, before that one is given up'
    printf '%s=\t%s\n' dbus_waiting_bytes 'bytes of what waits so from one bus, before it is read no more; or of the calls of one channel'
    printf '%s=\t%s\n' dbus_described_bytes 'JSON of the interfaces that one D-Bus service, or the front end on one channel, describes'
    printf '%s=\t%s\n' dbus_answer_seconds 'how long a D-Bus service may take to answer a question of the bridge itself'
    printf '%s=\t%s\n' dbus_descriptors 'descriptors that came on one D-Bus channel and were not opened yet'
    printf '%s=\t%s\n' dbus_descriptors_seconds 'how long they are kept'
    printf '%s=\t%s\n' dbus_descriptors_waiting 'descriptors of messages from one bus that are not whole yet'
    printf '%s=\t%s\n' dbus_linger_seconds 'how long a connection to a bus outlives its last channel'
    printf '%s=\t%s\n' metric_instances 'instances of one metric'
    printf '%s=\t%s\n' hosts 'connections to other hosts, by ssh or by a rule that names host; 0: none by ssh'
    printf '%s=\t%s\n' host_starts 'connections to other hosts that are coming up at once'
    printf '%s=\t%s\n' host_start_seconds 'how long one that comes up counts among host_starts'
    printf '%s=\t%s\n' host_version_seconds 'how long ssh -V may take, which tells what ssh can'
    printf '%s=\t%s\n' host_pack_seconds 'how long packing a bridge that is sent may take'
    printf '%s=\t%s\n' host_queue_bytes 'bytes waiting for a host that is not connected yet'
    printf '%s=\t%s\n' host_noise_bytes 'what login scripts of a host may print before its bridge speaks'
    printf '%s=\t%s\n' host_connect_seconds 'how long connecting to a host may take'
    printf '%s=\t%s\n' host_idle_seconds 'how long a connection without channels is kept'
    printf '%s=\t%s\n' host_alive_seconds 'how often ssh asks whether the host is there; 0: as ssh_config says'
    printf '%s=\t%s\n' host_prompt_seconds 'how long a question of ssh waits for an answer'
    printf '%s=\t%s\n' host_send 'whether a bridge is sent to hosts that have none; 0: no'
    printf '%s=\t%s\n' extension_body_bytes 'body of a request to an extension'
    printf '%s=\t%s\n' extension_bodies_bytes 'bodies of the requests to all extensions together'
    printf '%s=\t%s\n' extension_request_seconds 'how long an extension may take to answer'
    printf '%s=\t%s\n' extension_start_seconds 'how long an extension may take to start'
    printf '%s=\t%s\n' extension_start_failures 'failed starts of an extension, within extension_start_failures_seconds, before it rests'
    printf '%s=\t%s\n' extension_start_failures_seconds 'the time in which extension_start_failures are counted'
    printf '%s=\t%s\n' extension_backoff_seconds 'how long such an extension rests at first; doubled each time'
    printf '%s=\t%s\n' extension_backoff_most_seconds 'how long it rests at most'
    printf '%s=\t%s\n' extension_drain_seconds 'how long an extension that was replaced may take for the requests it has'
    printf '%s=\t%s\n' extension_ping_seconds 'how often an extension that has something to do is asked whether it lives'
    printf '%s=\t%s\n' extension_pong_seconds 'how long it may take to answer that'
    printf '%s=\t%s\n' extension_query_seconds 'how long one statement of SQL may take'
    printf '%s=\t%s\n' extension_busy_seconds 'how long a statement of SQL waits for the transaction of another handler, or program'
    printf '%s=\t%s\n' extension_iterations 'results of SQL that one extension iterates over at once'
    printf '%s=\t%s\n' extension_reply_seconds 'how long an extension may take nothing of what the host replies'
    printf '%s=\t%s\n' extension_database_bytes 'database of one extension'
    printf '%s=\t%s\n' extension_memory_bytes 'memory of one extension, and of SQLite in the host'
    printf '%s=\t%s\n' extension_files_bytes 'files of one extension'
    printf '%s=\t%s\n' extension_descriptors 'descriptors of one extension'
    printf '%s=\t%s\n' extension_threads 'threads of one process of an extension'
    printf '%s=\t%s\n' extension_look_seconds 'how often memory, threads and files of an extension that runs are looked at'
    printf '%s=\t%s\n' extension_node_seconds 'how long node --version may take'
    printf '%s=\t%s\n' extension_metrics 'metrics of one extension'
    printf '%s=\t%s\n' extension_alerts 'alerts of one extension'
    printf '%s=\t%s\n' extension_alert_seconds 'how often alerts are looked at'
    printf '%s=\t%s\n' extension_message_bytes 'message between an extension and its host'
    printf '%s=\t%s\n' extension_events 'events of one extension that are kept for replay'
    printf '%s=\t%s\n' extension_events_bytes 'events of one extension that are kept for replay'
    printf '%s=\t%s\n' extension_events_waiting_bytes 'events that wait for one channel; then the oldest go'
    printf '%s=\t%s\n' extension_audit_bytes 'audit log of all extensions together'
    printf '%s=\t%s\n' extension_log_bytes 'host.log, of which one older one is kept'
    printf '%s=\t%s\n' extension_log_lines 'lines that one extension may print into host.log in a second'
    printf '%s=\t%s\n' extension_deliveries 'webhooks and pushes that wait'
    printf '%s=\t%s\n' extension_deliveries_bytes 'webhooks and pushes that wait, or could not be delivered, together'
    printf '%s=\t%s\n' extension_deliveries_at_once 'webhooks and pushes under way at once'
    printf '%s=\t%s\n' extension_delivery_seconds 'how long one try to deliver a webhook or a push may take'
    printf '%s=\t%s\n' extension_waiting 'requests of one extension that are not answered yet'
    printf '%s=\t%s\n' extension_linger_seconds 'how long the host of extensions outlives its last session'
    printf '%s=\t%s\n' extension_last_words_seconds 'how long the host of extensions sends on what a session waits for at its end'
    printf '%s=\t%s\n' extension_delivery_retries 'seconds before each new try to deliver a webhook or a push'
    printf '%s=\t%s\n' extension_delivery_allow 'private networks that may be delivered to'
    printf '%s=\t%s\n' extension_sandbox 'whether an extension may run where the kernel has no Landlock'
    # end of limits
end

function __spanbridge_packages
    spanbridge --packages 2>/dev/null | string replace -r '[:\s].*' ''
end

# Whether the command line is of that tool; without a name, of none.
function __spanbridge_is
    set -l words (commandline -opc)
    if test (count $words) -gt 1; and not string match -q -- '-*' $words[2]
        test (count $argv) -eq 1; and test $words[2] = $argv[1]
    else
        test (count $argv) -eq 0
    end
end

# Whether no tool can be named any more.
function __spanbridge_first
    test (count (commandline -opc)) -eq 1
end

# Whether a command is due: what stands behind `--`.
function __spanbridge_behind
    contains -- -- (commandline -opc)
end

function __spanbridge_command
    set -l words (commandline -opc)
    set -l at (contains -i -- -- $words)
    set -e words[1..$at]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
end

function __spanbridge_payloads
    spanbridge list --payloads 2>/dev/null
end

complete -c spanbridge -f
# tools
complete -c spanbridge -n __spanbridge_first -a check -d 'validate manifests and overrides: every problem with its file and line'
complete -c spanbridge -n __spanbridge_first -a explain -d 'which rule an open message gets, why the others do not match, and what would be started'
complete -c spanbridge -n __spanbridge_first -a list -d 'packages, rules, privileged bridges, overrides, and what is hidden'
complete -c spanbridge -n __spanbridge_first -a open -d 'open one channel, and pipe stdin and stdout to it'
complete -c spanbridge -n __spanbridge_first -a tap -d 'stand between two programs and record the frames they exchange'
complete -c spanbridge -n __spanbridge_first -a replay -d 'play a recording of tap'
complete -c spanbridge -n __spanbridge_first -a status -d 'what the running bridges of this user do'
complete -c spanbridge -n __spanbridge_first -a schema -d 'the JSON Schema of manifest.json'
complete -c spanbridge -n __spanbridge_first -a extension -d 'make, try and look after extensions: small server parts behind pages'
complete -c spanbridge -n __spanbridge_first -a login -d 'whether those who log in on this machine get spanbridge'
# end of tools

complete -c spanbridge -n __spanbridge_is -l packages -d 'The packages in use'
complete -c spanbridge -n __spanbridge_is -l bridges -d 'The rules in their order, as JSON'
complete -c spanbridge -n __spanbridge_is -l version -d 'Version, protocol and generation'
complete -c spanbridge -n __spanbridge_is -l debug -d 'Log what happens'
complete -c spanbridge -n __spanbridge_is -l privileged -d 'Be the privileged side of another bridge'
complete -c spanbridge -n __spanbridge_is -l set -x -a '(__spanbridge_limits)' -d 'Set a limit'
complete -c spanbridge -n 'not __spanbridge_behind' -s h -l help -d 'What it takes'

complete -c spanbridge -n '__spanbridge_is check' -F
complete -c spanbridge -n '__spanbridge_is check' -l json -d 'The findings as JSON'
complete -c spanbridge -n '__spanbridge_is check' -s q -l quiet -d 'Problems only'
complete -c spanbridge -n '__spanbridge_is check' -l ignore -x -d 'Nothing of this kind'
complete -c spanbridge -n '__spanbridge_is check' -l portable -d 'Nothing about this machine'

complete -c spanbridge -n '__spanbridge_is explain' -a '(printf "%s\n" and payload= payload=(__spanbridge_payloads))'
complete -c spanbridge -n '__spanbridge_is explain' -l json -d 'Print JSON'
complete -c spanbridge -n '__spanbridge_is explain' -l all -d 'Leave out nothing'
complete -c spanbridge -n '__spanbridge_is explain' -l host -x -a '(__fish_print_hostnames)' -d 'The own host of the front end'
complete -c spanbridge -n '__spanbridge_is explain' -l superuser -x -a 'none running root' -d 'What an open that asks for privileges finds'
complete -c spanbridge -n '__spanbridge_is explain' -l pid -x -a '(__fish_complete_pids)' -d 'As that running bridge'
complete -c spanbridge -n '__spanbridge_is explain' -l set -x -a '(__spanbridge_limits)' -d 'Set a limit'

complete -c spanbridge -n '__spanbridge_is list' -a '(__spanbridge_packages)'
complete -c spanbridge -n '__spanbridge_is list' -l json -d 'The same, and more, as JSON'
complete -c spanbridge -n '__spanbridge_is list' -l payloads -d 'The payloads that can be opened'

complete -c spanbridge -n '__spanbridge_is open' -a '(__spanbridge_payloads)'
complete -c spanbridge -n '__spanbridge_is open' -l bridge -x -a '(__fish_complete_command)' -d 'The bridge, or the helper, to start'
complete -c spanbridge -n '__spanbridge_is open' -l host -x -a '(__fish_print_hostnames)' -d 'The name of the machine'
complete -c spanbridge -n '__spanbridge_is open' -l superuser -d 'Have a privileged bridge started'
complete -c spanbridge -n '__spanbridge_is open' -l binary -d 'Any bytes, not only UTF-8'
complete -c spanbridge -n '__spanbridge_is open' -l raw -d 'Write payloads as they come'
complete -c spanbridge -n '__spanbridge_is open' -l lines -d 'A frame for each line'
complete -c spanbridge -n '__spanbridge_is open' -l newline -d 'Leave each line its end'
complete -c spanbridge -n '__spanbridge_is open' -l timeout -x -d 'How long to wait, in seconds'
complete -c spanbridge -n '__spanbridge_is open' -s v -l verbose -d 'Tell of all control messages'

complete -c spanbridge -n '__spanbridge_is tap; and not __spanbridge_behind' -l output -r -F -d 'Where the record goes'
complete -c spanbridge -n '__spanbridge_is tap; and not __spanbridge_behind' -l format -x -a 'json text' -d 'For replay, or to read'
complete -c spanbridge -n '__spanbridge_is tap; and not __spanbridge_behind' -l payload -x -a 'none all' -d 'How much of each payload'
complete -c spanbridge -n '__spanbridge_is tap; and __spanbridge_behind' -a '(__spanbridge_command)'

complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -F
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -l as -x -a 'front-end helper' -d 'The side to play'
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -l timing -d 'Keep the delays of the recording'
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -l compare -x -a 'payload size kind' -d 'What must be the same of each frame'
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -l ignore -x -d 'A member not to compare'
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -l timeout -x -d 'How long nothing may come, in seconds'
complete -c spanbridge -n '__spanbridge_is replay; and not __spanbridge_behind' -s v -l verbose -d 'Tell of each frame'
complete -c spanbridge -n '__spanbridge_is replay; and __spanbridge_behind' -a '(__spanbridge_command)'

complete -c spanbridge -n '__spanbridge_is status' -l json -d 'One JSON list'
complete -c spanbridge -n '__spanbridge_is status' -l watch -d 'Again and again'
complete -c spanbridge -n '__spanbridge_is status' -l interval -x -d 'How long to wait in between, in seconds'

complete -c spanbridge -n '__spanbridge_is schema' -l url -d 'The file: URL of the installed schema'

complete -c spanbridge -n '__spanbridge_is extension' -a 'new check list enable disable log db backup remove audit run serve'
complete -c spanbridge -n '__spanbridge_is login' -a 'on off status'
