#!/bin/sh
# The smallest agent: a shell script that speaks the log protocol.
#
#   optio-agents run -- examples/shell_agent.sh
#
# It runs in its workdir, says what it does in ./optio.log, and puts what it makes in ./deliverables/.
# What the harness has to say comes on stdin, one line each.
set -eu

say() {
    printf '%s\n' "$1" >> optio.log
}

deliver() {
    say "DELIVERABLE: deliverables/$1"
    # Every deliverable gets exactly one reply; DONE has to wait for it.
    while read -r line; do
        case $line in
            "System: deliverable $1: accepted"*) return 0 ;;
            "System: deliverable $1: "*) say "ERROR: $1 was refused: ${line#*: *: }"; exit 1 ;;
        esac
    done
    exit 1 # our input was closed: the session has ended
}

say "STATUS: 10% Looking around"
uname -srm > deliverables/system.txt

say "STATUS: 50% Delivering text"
deliver system.txt

say "STATUS: 80% Delivering bytes"
printf '\000\001\377\n' > deliverables/bytes.bin
deliver bytes.bin

say "DONE: Delivered a text and a binary file"
