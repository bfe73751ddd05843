"""The turn rules that all backends share, sans-IO.

owner_commands    what the commands of the owner mean    backend_signals    what the signals of a backend mean
turn_state        the state of a conversation            pending_requests   the requests that wait for an answer
effects           the actions that the rules return
"""
