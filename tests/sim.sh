#!/bin/sh
# tests/sim.sh: builds the simulator of the mesh as a user would, without sanitizers, and runs seeds
# 1 to SIM_SEEDS. A failing seed prints the command that replays it.
set -eu
B=${B-build}
mkdir -p "$B/test"
${CC-cc} -std=c11 -O2 -g -Wno-unused-function -I. tests/sim.c -lpthread -lm -o "$B/test/sim"
exec "./$B/test/sim" --seeds "${SIM_SEEDS-1000}"
