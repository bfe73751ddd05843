"""The command `worker`: an optio worker for the tasks of a Python module.

command      its arguments, and its life from the lease to the shutdown
settings     options, environment variables and the file, as checked settings
definitions  the user's function: found, called, and its faults reported as the user's
"""
