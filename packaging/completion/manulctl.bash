# Completion of manulctl for bash. It asks manulctl itself, so that it never knows less than the program.

_manulctl_words() {  # the part of a help text: "Subcommands" or options
    case $2 in
        commands) sed -n '/^Subcommands:/,$ s/^  \([a-z][a-z-]*\) .*/\1/p' <<<"$1" ;;
        options) sed -n 's/^  \(-[^ ]*\).*/\1/p' <<<"$1" | tr ',' '\n' ;;
    esac
}

_manulctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} program=${COMP_WORDS[0]}
    local words=() settings=() word help i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
            -c|--config) settings=(--config "${COMP_WORDS[++i]}") ;;
            -*) ;;
            *) words+=("$word") ;;
        esac
    done
    case $previous in
        -f|--filename|-c|--config|--conf|--plugin|--file|--patch-file) mapfile -t COMPREPLY < <(compgen -f -- "$current"); return ;;
        -o|--output) mapfile -t COMPREPLY < <(compgen -W 'json yaml wide name jsonpath= go-template= custom-columns=' -- "$current"); return ;;
        -t|--type) mapfile -t COMPREPLY < <(compgen -W 'strategic merge json' -- "$current"); return ;;
    esac
    help=$("$program" "${words[@]:0:3}" --help 2>/dev/null) || help=$("$program" "${words[@]:0:2}" --help 2>/dev/null) || help=$("$program" "${words[@]:0:1}" --help 2>/dev/null) || return
    if [[ $current == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(_manulctl_words "$help" options)" -- "$current")
    elif [[ ${words[0]} =~ ^(get|delete|explain|patch|label|annotate)$ && ${#words[@]} == 1 ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" explain 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$current")
    elif [[ ${words[0]} =~ ^(get|delete|patch|label|annotate)$ ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$program" "${settings[@]}" get "${words[1]}" -A -o name 2>/dev/null |
            sed 's|.*/||')" -- "$current")
    else
        mapfile -t COMPREPLY < <(compgen -W "$(_manulctl_words "$help" commands)" -- "$current")
    fi
}

complete -o default -F _manulctl manulctl
