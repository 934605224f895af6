# Completion of spanbridge for bash: share/bash-completion/completions/spanbridge

# tools
_spanbridge_tools="check explain list open tap replay status schema extension login"
# end of tools

_spanbridge_limits() {
    # limits
    echo frame_bytes control_bytes channel_id_bytes channels read_bytes pipe_bytes large_pipes
    echo helper_queue_bytes front_queue_bytes stuck_seconds stall_seconds handshake_seconds
    echo close_answer_seconds refusal_bytes closed_ids exit_seconds term_seconds last_words_seconds
    echo helpers_per_rule helpers start_failures start_failures_seconds backoff_seconds backoff_most_seconds
    echo stderr_line_bytes manifest_bytes max_depth stderr_seconds sudo_seconds systemd_seconds
    echo ssh_agent_seconds status_seconds bus_backlog_bytes bus_message_bytes bus_answers_bytes bus_calls
    echo bus_watches bus_described package_answers package_files watched_directories programs
    echo channel_queue_bytes channels_queue_bytes channel_pings window_bytes stderr_bytes connect_seconds
    echo lookups directory_seconds spawn_kill_seconds file_jobs file_job_seconds file_threads info_entries
    echo watch_names watch_look_seconds http_connections http_connections_per_name http_kept http_kept_seconds
    echo websocket_bytes websocket_close_seconds dbus_calls dbus_published_calls dbus_watches dbus_objects
    echo dbus_sent_calls dbus_sent_more dbus_sent_seconds dbus_queue_bytes dbus_waiting dbus_waiting_bytes
    echo dbus_described_bytes dbus_answer_seconds dbus_descriptors dbus_descriptors_seconds
    echo dbus_descriptors_waiting dbus_linger_seconds metric_instances hosts host_starts host_start_seconds
    echo host_version_seconds host_pack_seconds host_queue_bytes host_noise_bytes host_connect_seconds
    echo host_idle_seconds host_alive_seconds host_prompt_seconds host_send extension_body_bytes
    echo extension_bodies_bytes extension_request_seconds extension_start_seconds extension_start_failures
    echo extension_start_failures_seconds extension_backoff_seconds extension_backoff_most_seconds
    echo extension_drain_seconds extension_ping_seconds extension_pong_seconds extension_query_seconds
    echo extension_busy_seconds extension_iterations extension_reply_seconds extension_database_bytes
    echo extension_memory_bytes extension_files_bytes extension_descriptors extension_threads
    echo extension_look_seconds extension_node_seconds extension_metrics extension_alerts
    echo extension_alert_seconds extension_message_bytes extension_events extension_events_bytes
    echo extension_events_waiting_bytes extension_audit_bytes extension_log_bytes extension_log_lines
    echo extension_deliveries extension_deliveries_bytes extension_deliveries_at_once
    echo extension_delivery_seconds extension_waiting extension_linger_seconds extension_last_words_seconds
    echo extension_delivery_retries extension_delivery_allow extension_sandbox
    # end of limits
}

_spanbridge_options() { # TOOL
    case $1 in
        check) echo --help --ignore --json --portable --quiet -q ;;
        explain) echo --all --help --host --json --pid --set --superuser ;;
        list) echo --help --json --payloads ;;
        open) echo --binary --bridge --help --host --lines --newline --raw --superuser --timeout --verbose -v ;;
        tap) echo --format --help --output --payload ;;
        replay) echo --as --compare --help --ignore --timeout --timing --verbose -v ;;
        status) echo --help --json --watch --interval ;;
        schema) echo --help --url ;;
        extension | login) echo --help ;;
        *) echo --bridges --debug --help --packages --privileged --set --version ;;
    esac
}

# What may follow an option that takes a value; status 1 where the option takes none.
_spanbridge_value() { # TOOL OPTION CURRENT
    case "$1 $2" in
        *" --set")
            mapfile -t COMPREPLY < <(compgen -S = -W "$(_spanbridge_limits)" -- "$3")
            compopt -o nospace 2>/dev/null
            ;;
        " --debug") mapfile -t COMPREPLY < <(compgen -W "front open helper superuser dbus bugs all" -- "$3") ;;
        "explain --superuser") mapfile -t COMPREPLY < <(compgen -W "none running root" -- "$3") ;;
        "explain --host" | "open --host") mapfile -t COMPREPLY < <(compgen -A hostname -- "$3") ;;
        "tap --format") mapfile -t COMPREPLY < <(compgen -W "json text" -- "$3") ;;
        "tap --payload") mapfile -t COMPREPLY < <(compgen -W "none all" -- "$3") ;;
        "tap --output") mapfile -t COMPREPLY < <(compgen -f -- "$3") ;;
        "replay --as") mapfile -t COMPREPLY < <(compgen -W "front-end helper" -- "$3") ;;
        "replay --compare") mapfile -t COMPREPLY < <(compgen -W "payload size kind" -- "$3") ;;
        "open --bridge") mapfile -t COMPREPLY < <(compgen -c -- "$3") ;;
        *" --ignore" | *" --timeout" | *" --interval" | "explain --pid") COMPREPLY=() ;;
        *) return 1 ;;
    esac
    return 0
}

_spanbridge_argument() { # COMMAND TOOL CURRENT
    case $2 in
        "") mapfile -t COMPREPLY < <(compgen -W "$_spanbridge_tools" -- "$3") ;;
        check)
            mapfile -t COMPREPLY < <(compgen -f -- "$3")
            compopt -o filenames 2>/dev/null
            ;;
        replay)
            mapfile -t COMPREPLY < <(compgen -f -- "$3")
            compopt -o filenames 2>/dev/null
            ;;
        extension) mapfile -t COMPREPLY < <(compgen -W "new check list enable disable log db backup remove audit run serve" -- "$3") ;;
        login) mapfile -t COMPREPLY < <(compgen -W "on off status" -- "$3") ;;
        list) mapfile -t COMPREPLY < <(compgen -W "$("$1" --packages 2>/dev/null | sed 's/[:[:space:]].*//')" -- "$3") ;;
        explain)
            mapfile -t COMPREPLY < <(compgen -W "and payload=" -- "$3")
            [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
            ;;
        open) mapfile -t COMPREPLY < <(compgen -W "$("$1" list --payloads 2>/dev/null)" -- "$3") ;;
        *) COMPREPLY=() ;;
    esac
    return 0
}

_spanbridge() {
    local current=${COMP_WORDS[COMP_CWORD]} before="" tool="" at word joined=""
    COMPREPLY=()
    if ((COMP_CWORD > 1)); then
        before=${COMP_WORDS[COMP_CWORD - 1]}
        [[ " $_spanbridge_tools " == *" ${COMP_WORDS[1]} "* ]] && tool=${COMP_WORDS[1]}
    fi
    # bash takes `--set=NAME` for three words.
    if [[ $current == "=" ]]; then
        current="" joined=$before
    elif [[ $before == "=" ]]; then
        joined=${COMP_WORDS[COMP_CWORD - 2]}
    fi
    if [[ -n $joined ]]; then
        if [[ $joined == payload && $tool == explain ]]; then
            _spanbridge_argument "$1" open "$current"
        else
            _spanbridge_value "$tool" "$joined" "$current"
        fi
        return 0
    fi
    if [[ $tool == tap || $tool == replay ]]; then
        for ((at = 2; at < COMP_CWORD; at++)); do
            word=${COMP_WORDS[at]}
            if [[ $word == "--" ]]; then # behind it is a command, with arguments of its own
                if ((at == COMP_CWORD - 1)); then
                    mapfile -t COMPREPLY < <(compgen -c -- "$current")
                else
                    mapfile -t COMPREPLY < <(compgen -f -- "$current")
                fi
                return 0
            fi
        done
    fi
    # Only with `=`: without, what follows is the next argument.
    if [[ $before != --debug && "$tool $before" != "open --superuser" ]]; then
        _spanbridge_value "$tool" "$before" "$current" && return 0
    fi
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_spanbridge_options "$tool")" -- "$current")
    elif [[ -n $tool ]] || ((COMP_CWORD == 1)); then
        _spanbridge_argument "$1" "$tool" "$current"
    fi
    return 0
}

complete -F _spanbridge spanbridge
