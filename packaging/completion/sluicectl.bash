# SPDX-License-Identifier: Apache-2.0
# bash completion; the program itself knows what can follow.
eval "$(sluicectl completion bash)"
