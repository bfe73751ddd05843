"""A conversation with the agent of an optio task: the path from which its names are imported."""

from optio_agents.conversation.stream_transport import AgentStreams, StreamTransport
from optio_agents.task.conversing import conversing
from optio_agents.task.web_widget import WebOptions

__all__ = ["AgentStreams", "StreamTransport", "WebOptions", "conversing"]
