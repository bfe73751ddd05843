"""Random input for everything that reads what an agent, a host or a network sends: `make fuzz`."""
