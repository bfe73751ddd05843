"""A live conversation over HTTP: for optio's dashboard, and for a page of our own.

event_log   the events with their numbers, and how they are framed as server-sent events; sans-IO
feed        fills the event log from a conversation, and carries out what a viewer asks
request_validation  the bodies of requests, checked
access      who may talk to the listener
stream      the answer to `GET events`: a replay, then live
app         the routes, as an ASGI application
view        all of it for one conversation, for the length of a block
extra       whether what it needs is installed
server      serves it on Trio
page/       the page: plain HTML, CSS and JavaScript, no foreign resource

The routes, their bodies and answers are those that optio's dashboard uses, plus `answer` (a question) and `state`.
Everything here runs on Trio, also in an optio worker, where Trio is a guest of the worker's loop. It needs the extra
`web` (starlette and hypercorn).
"""
