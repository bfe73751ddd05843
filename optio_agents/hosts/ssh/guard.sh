# The guard beside an agent on a remote host: it keeps the agent alive without a connection, and ends it when nobody
# comes back. POSIX sh; the functions of `shell.MEMBERS` (members, end_members, pause) stand before this text.
#
#     feeder | run | pump        in the background, in the guard's directory
#
# feeder  copies the files in.1, in.2, ... to the agent's input, as their numbers come through the FIFO `wake`
# run     is the agent, in a session of its own; then a record that says how it ended, in the same pipe as its output
# pump    writes that pipe to out.1, out.2, ...: the next one begins beyond $segment bytes, and waits until the one
#         before the last was read and removed, so that what nobody reads is bounded
#
# A record is "$nonce WORD NUMBER" and a newline. Readers find it anywhere in the output.

segment=4194304
beats=6

# launch DIRECTORY GRACE REMOVE MARK NONCE COMMAND TEXT: start the guard; TEXT is what it runs.
launch() {
    umask 077
    # It is there already when the connection was lost over it, and we are asked again.
    mkdir -- "$1" || { [ -d "$1" ] && exit 0; exit 1; }
    cd -- "$1" || exit
    printf '%s\n' "$6" >command && printf '%s\n' "$7" >guard && mkfifo wake && : >out.1 && : >beat || exit
    printf '%s' "$4" >mark
    detach=${setsid:+setsid}
    $detach sh ./guard "$2" "$3" "$4" "$5" "$detach" </dev/null >/dev/null 2>errors &
}

# guard GRACE REMOVE MARK NONCE DETACH: the guard itself.
guard() {
    grace=$1 remove=$2 mark=$3 nonce=$4 detach=$5
    echo $$ >pid
    exec 3<>wake
    feeder <&3 | run 2>&1 3>&- | pump 3>&- &
    slice=$(((grace + beats - 1) / beats)) missed=0
    while [ "$missed" -lt "$beats" ]; do
        sleep "$slice"
        if [ -e beat ]; then rm -f beat; missed=0; else missed=$((missed + 1)); fi
    done
    echo end >&3
    tries=20
    while [ "$tries" -gt 0 ] && ! [ -e status ]; do pause; tries=$((tries - 1)); done
    sessions=$(cat session 2>/dev/null) roots=
    [ "$proc" ] || [ -e status ] || roots=$(cat leader)
    end_members 20
    : >orphaned
    [ -z "$remove" ] || { cd / && { rm -rf -- "$remove" 2>/dev/null || { chmod -R u+rwX -- "$remove"; rm -rf -- "$remove"; }; }; }
}

feeder() {
    while IFS= read -r word && [ "$word" != end ]; do
        cat "in.$word" && rm -f "in.$word"
    done
}

run() {
    $detach sh ./command
    status=$?
    printf '%s end %d\n' "$nonce" "$status"
    echo "$status" >status
}

pump() {
    number=1 size=0
    while :; do
        before=$size
        dd bs=65536 count=16 >>"out.$number" 2>/dev/null
        size=$(($(wc -c <"out.$number")))
        [ "$size" -gt "$before" ] || return
        [ "$size" -ge "$segment" ] || continue
        printf '%s next %d\n' "$nonce" "$number" >>"out.$number"
        number=$((number + 1)) size=0
        : >"out.$number"
        while [ -e "out.$((number - 2))" ]; do sleep 1; done
    done
}

# attach DIRECTORY NONCE SEGMENT OFFSET: print the output from there on, take input, until standard input ends.
attach() {
    cd -P -- "$1" 2>/dev/null || { printf '%s gone 0\n' "$2"; exit; }
    nonce=$2 number=$3 offset=$4 last=$(cat last 2>/dev/null || echo 0)
    here=$(pwd -P)
    for other in $(cat attached 2>/dev/null); do
        [ "$(readlink "/proc/$other/cwd")" != "$here" ] || kill "$other"
    done
    rm -f "out.$((number - 1))"
    : >beat
    printf '%s state %d\n' "$nonce" "$last"
    follow
    while IFS= read -r line; do
        case $line in
            beat) : >beat ;;
            next)
                kill "$tail"
                rm -f "out.$number"
                number=$((number + 1)) offset=0
                follow
                ;;
            end) echo end 1<>wake ;;
            "in "*)
                line=${line#in } count=${line%% *}
                if [ "$count" -gt "$last" ]; then
                    printf '%s\n' "${line#* }" >new && mv new "in.$count" && echo "$count" >last || exit
                    last=$count
                    echo "$count" 1<>wake
                fi
                printf '%s took %d\n' "$nonce" "$last"
                ;;
        esac
    done
    kill "$tail"
}

follow() {
    tail -c +$((offset + 1)) -f "out.$number" </dev/null 2>/dev/null &
    tail=$!
    echo "$$ $tail" >attached
}

# end DIRECTORY TENTHS: end the agent with all that it started, the guard and what is attached to it.
end() {
    cd -P -- "$1" 2>/dev/null || return 0
    here=$(pwd -P) mark=$(cat mark) sessions=$(cat session 2>/dev/null) roots=
    [ ! -p wake ] || echo end 1<>wake
    if ! [ "$proc" ]; then
        # As long as the guard lives, these numbers are not those of others.
        guard=$(cat pid) leader=$(cat leader)
        case $(ps -o args= -p "$guard" 2>/dev/null) in
            *"./guard "*) roots="$guard $leader" ;;
            *) sessions= ;;
        esac
        end_members "$2"
        echo "the host has no /proc: what has left the agent's processes may still be running" >&2
        return 1
    fi
    left=
    end_members "$2" || left=$(members)
    cd /
    found=$(ls -ld /proc/[0-9]*/cwd 2>/dev/null | while read -r line; do
        case $line in *" /proc/"*"/cwd -> $here") line=${line##* /proc/} && echo "${line%%/*}" ;; esac
    done)
    [ -z "$found" ] || kill -s KILL $found 2>/dev/null
    [ -z "$left" ] || { echo "still running: $left" >&2; return 1; }
}
