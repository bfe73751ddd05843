%% The same rows on Erlang/OTP: plain processes, unbounded mailboxes, a stdlib supervisor for the restarts.
-module(bench).
-export([main/1, start_echo/0, init/1]).
-behaviour(supervisor).

main([Row, Count]) ->
    N = list_to_integer(atom_to_list(Count)),
    io:format("~w~n", [row(Row, N)]),
    halt().

seconds(Fun) ->
    {Micro, _} = timer:tc(Fun),
    Micro / 1000000.

count(N) ->
    receive
        {sync, From} -> From ! {count, N}, count(N);
        stop -> ok;
        _ -> count(N + 1)
    end.

sync(Pid) ->
    Pid ! {sync, self()},
    receive {count, N} -> N end.

echo() ->
    receive
        {ask, From, Ref, fail} -> From ! Ref, exit(failed);
        {ask, From, Ref, X} -> From ! {Ref, X}, echo();
        stop -> ok
    end.

ask(Pid, X) ->
    Ref = monitor(process, Pid),
    Pid ! {ask, self(), Ref, X},
    receive
        {Ref, Answer} -> demonitor(Ref, [flush]), Answer
    after 5000 -> exit(timeout)
    end.

row(tell, N) ->
    Pid = spawn(fun() -> count(0) end),
    seconds(fun() -> [Pid ! X || X <- lists:seq(1, N)], N = sync(Pid) end);
row(ask, N) ->
    Pid = spawn(fun echo/0),
    seconds(fun() -> [ask(Pid, X) || X <- lists:seq(1, N)] end);
row(fan_in, N) ->
    Pid = spawn(fun() -> count(0) end),
    Self = self(),
    seconds(fun() ->
        [spawn(fun() -> [Pid ! X || X <- lists:seq(1, N div 100)], Self ! sent end) || _ <- lists:seq(1, 100)],
        [receive sent -> ok end || _ <- lists:seq(1, 100)],
        N = sync(Pid)
    end);
row(ring, N) ->
    Self = self(),
    Member = fun Loop(Next) ->
        receive
            {next, Pid} -> Loop(Pid);
            0 -> Self ! done, Loop(Next);
            Hops -> Next ! (Hops - 1), Loop(Next)
        end
    end,
    Pids = [spawn(fun() -> Member(none) end) || _ <- lists:seq(1, 100)],
    [A ! {next, B} || {A, B} <- lists:zip(Pids, tl(Pids) ++ [hd(Pids)])],
    seconds(fun() -> hd(Pids) ! N, receive done -> ok end end);
row(spawn, N) ->
    Self = self(),
    seconds(fun() ->
        [begin
            {Pid, Ref} = spawn_monitor(fun() -> Self ! ready, count(0) end),
            receive ready -> ok end,
            Pid ! stop,
            receive {'DOWN', Ref, _, _, _} -> ok end
         end || _ <- lists:seq(1, N)]
    end);
row(restart, N) ->
    process_flag(trap_exit, true),
    logger:set_primary_config(level, none),
    {ok, _} = supervisor:start_link(?MODULE, N),
    seconds(fun() -> [begin fail_echo(), wait_echo(X) end || X <- lists:seq(1, N)] end);
row(cancel, N) ->
    Pids = [spawn_monitor(fun() -> count(0) end) || _ <- lists:seq(1, N)],
    seconds(fun() ->
        [exit(Pid, kill) || {Pid, _} <- Pids],
        [receive {'DOWN', Ref, _, _, _} -> ok end || {_, Ref} <- Pids]
    end);
row(memory, N) ->
    Pids = [spawn(fun() -> count(0) end) || _ <- lists:seq(1, N)],
    [sync(Pid) || Pid <- Pids],
    Bytes = [element(2, process_info(Pid, memory)) || Pid <- Pids],
    lists:sum(Bytes) / N.

%% The restarted process has another pid: it is found by its name, which is set before the supervisor goes on.
start_echo() ->
    Pid = spawn_link(fun echo/0),
    register(echo, Pid),
    {ok, Pid}.

init(N) ->
    {ok, {#{strategy => one_for_one, intensity => N, period => 1000000},
          [#{id => echo, start => {?MODULE, start_echo, []}}]}}.

fail_echo() ->
    Pid = whereis(echo),
    Ref = monitor(process, Pid),
    Pid ! {ask, self(), make_ref(), fail},
    receive {'DOWN', Ref, _, _, _} -> ok end.

wait_echo(X) ->
    case whereis(echo) of
        undefined -> erlang:yield(), wait_echo(X);
        Pid -> ask(Pid, X)
    end.
