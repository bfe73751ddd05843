"""How fast events pass through a conversation, and what a subscriber that hangs costs.

replayed.py       a recording, against splitting and decoding the same bytes
scripted_cli.py   a program that speaks as claude does, for both of:
ours.py           a conversation with it, under Trio and under asyncio
peer.py           claude-agent-sdk's client with it, in an environment of its own
"""
