"""The turn rules that all backends share, sans-IO.

owner_commands    what the commands of the owner mean    backend_signals    what the signals of a backend mean
turn_state        where a conversation stands            pending_requests   the requests that wait for an answer
effects           what the rules ask to be done
"""
