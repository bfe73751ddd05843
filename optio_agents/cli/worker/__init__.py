"""The command `worker`: an optio worker for the tasks of a Python module.

command      its arguments, and the worker from the lease to the shutdown
settings     options, environment variables and the file, as checked settings
work         the engine, its tasks, and what the status says of them
engine       optio's engine, from the start of its run to its shutdown by a signal
running_tasks  how many run at once, and when all have ended
status       the status socket, and the question of --status
logs         the log on stderr, as text or JSON
definitions  finds and calls the user's function, and reports its errors as the user's
redis_outage  commands from the dashboard after an outage of Redis
"""
