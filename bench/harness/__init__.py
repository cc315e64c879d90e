# SPDX-License-Identifier: Apache-2.0
"""What the commands of bench/ share: running programs, pairs of runs, traces and their checks, tables."""
