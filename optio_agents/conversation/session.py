"""The published import path of `optio_agents.conversation.agent_body`."""

from optio_agents.conversation.agent_body import AgentBody

__all__ = ["AgentBody"]
