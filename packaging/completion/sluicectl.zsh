#compdef sluicectl
# SPDX-License-Identifier: Apache-2.0
# zsh completion; the program itself knows what can follow.
source <(sluicectl completion zsh)
_sluicectl "$@"
