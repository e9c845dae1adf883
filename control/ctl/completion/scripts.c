/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the scripts that shells run. Each hands the words up to the cursor to sluicectl and offers
 * the lines that come back; a line `:files` leaves it to the shell.
 */
#include <string.h>

#include "control/ctl/completion/completion.h"

/* Readline splits words at colons and equals signs, which addresses and options are full of: the
 * line is split again at blanks alone, and what readline already has is taken off each candidate.
 */
static const char bash[] =
	"# bash completion for sluicectl; use: eval \"$(sluicectl completion bash)\"\n"
	"_sluicectl() {\n"
	"    local line=${COMP_LINE:0:COMP_POINT} words candidate breaks='' head=''\n"
	"    read -ra words <<<\"$line\"\n"
	"    [[ $line == *[[:space:]] ]] && words+=('')\n"
	"    local cur=${words[${#words[@]} - 1]}\n"
	"    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:\n"
	"    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==\n"
	"    [[ -n $breaks ]] && head=${cur%\"${cur##*[$breaks]}\"}\n"
	"    COMPREPLY=()\n"
	"    while IFS=$'\\t' read -r candidate _; do\n"
	"        if [[ $candidate == :files ]]; then\n"
	"            compopt -o default 2>/dev/null\n"
	"            return\n"
	"        fi\n"
	"        COMPREPLY+=(\"${candidate#\"$head\"}\")\n"
	"    done < <(\"${words[0]}\" " COMPLETION_REQUEST " \"${words[@]:1}\" 2>/dev/null)\n"
	"}\n"
	"complete -F _sluicectl sluicectl\n";

static const char zsh[] =
	"#compdef sluicectl\n"
	"# zsh completion for sluicectl; a file _sluicectl in $fpath, or: "
	"source <(sluicectl completion zsh)\n"
	"_sluicectl() {\n"
	"    local line name\n"
	"    local -a offered\n"
	"    while IFS= read -r line; do\n"
	"        if [[ $line == :files ]]; then\n"
	"            _files\n"
	"            return\n"
	"        fi\n"
	"        name=${line%%$'\\t'*}\n"
	"        offered+=(\"${name//:/\\\\:}${${line#$name}/$'\\t'/:}\")\n"
	"    done < <(\"${words[1]}\" " COMPLETION_REQUEST " \"${(@)words[2,CURRENT]}\" "
	"2>/dev/null)\n"
	"    _describe sluicectl offered\n"
	"}\n"
	"if [[ ${funcstack[1]} == _sluicectl ]]; then\n"
	"    _sluicectl \"$@\"\n"
	"else\n"
	"    compdef _sluicectl sluicectl\n"
	"fi\n";

static const char fish[] =
	"# fish completion for sluicectl; use: sluicectl completion fish | source\n"
	"function __sluicectl_offer\n"
	"    set -l words (commandline -opc)\n"
	"    set -l current (commandline -ct)\n"
	"    set -l program $words[1]\n"
	"    set -e words[1]\n"
	"    set -l lines ($program " COMPLETION_REQUEST " $words \"$current\" 2>/dev/null)\n"
	"    if test \"$lines[1]\" = :files\n"
	"        __fish_complete_path \"$current\"\n"
	"    else if set -q lines[1]\n"
	"        printf '%s\\n' $lines\n"
	"    end\n"
	"end\n"
	"complete -c sluicectl -f -a '(__sluicectl_offer)'\n";

const char *completion_script(const char *shell)
{
	if (strcmp(shell, "bash") == 0)
		return bash;
	if (strcmp(shell, "zsh") == 0)
		return zsh;
	return strcmp(shell, "fish") == 0 ? fish : NULL;
}
