"""`python -m optio_agents.cli`: the same as `optio-agents`."""

import sys

from optio_agents.cli.main import main

sys.exit(main())
