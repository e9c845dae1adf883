# SPDX-License-Identifier: Apache-2.0
# fish completion; the program itself knows what can follow.
sluicectl completion fish | source
