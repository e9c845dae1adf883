#compdef sluice sluice-control
# SPDX-License-Identifier: Apache-2.0
# zsh completion of both daemons: the flags and words that their --help names, and files.
local text=$($words[1] --help 2>/dev/null) before=$words[CURRENT-1]
local -a found
if [[ $words[CURRENT] == -* ]]; then
    found=(${(f)"$(sed -nE 's/^  (--[a-z-]+)( [^ ]+)? {2,}(.*)/\1:\3/p' <<<$text)"})
else
    # The line below a flag that lists what it takes, as in `error, warn, info or debug`.
    found=($(sed -nE "/^  $before /,/\[/s/^ {20,}([a-z_]+(, [a-z_]+)* or [a-z_]+)\$/\1/p" <<<$text |
        sed -E 's/,| or / /g'))
fi
if (($#found)); then
    _describe $words[1] found
else
    _files
fi
