"""How the events of a run are shown: plain text, JSON lines, or a live display.

events        what can be shown        writers       write it to stdout and stderr
plain_text    one line per event       json_lines    one object per event
live_view     what the display shows   live_display  draws it on a terminal
keys          the keyboard             typed_line    the typed line
"""
