# SPDX-License-Identifier: Apache-2.0
# fish completion of both daemons: the flags and words that their --help names, and files.
function __sluice_flags
    $argv[1] --help 2>/dev/null | sed -nE 's/^  (--[a-z-]+)( [^ ]+)? {2,}(.*)/\1\t\3/p'
end

# The line below a flag that lists what it takes, as in `error, warn, info or debug`.
function __sluice_words
    set -l before (commandline -opc)[-1]
    $argv[1] --help 2>/dev/null |
        sed -nE "/^  $before /,/\[/s/^ {20,}([a-z_]+(, [a-z_]+)* or [a-z_]+)\$/\1/p" |
        sed -E 's/,| or / /g' | string split -n ' '
end

for program in sluice sluice-control
    complete -c $program -n 'string match -q -- "-*" (commandline -ct)' -a "(__sluice_flags $program)"
    complete -c $program -f -n "count (__sluice_words $program)" -a "(__sluice_words $program)"
end
