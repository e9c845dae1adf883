# SPDX-License-Identifier: Apache-2.0
# bash completion of both daemons: the flags and words that their --help names, and files.
_sluice_daemon() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} found
    if [[ $current != -* ]]; then
        # The line below a flag that lists what it takes, as in `error, warn, info or debug`.
        found=$("$1" --help 2>/dev/null |
            sed -nE "/^  $before /,/\[/s/^ {20,}([a-z_]+(, [a-z_]+)* or [a-z_]+)\$/\1/p" |
            sed -E 's/,| or / /g')
    else
        found=$("$1" --help 2>/dev/null | sed -nE 's/^  (--[a-z-]+) .*/\1/p')
    fi
    mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current")
    [[ -n $found ]] || compopt -o default 2>/dev/null
}
complete -F _sluice_daemon sluice sluice-control
