"""What many programs build from actors, each in a file of its own. Nothing in the runtime imports it.

registry.py    find living actors by key
"""
