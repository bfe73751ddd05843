"""Seeds: logged-in agent homes, kept encrypted in MongoDB and shared among sessions.

Log in to an agent once and capture its credentials as a seed. Later sessions start from it. A pool gives each session
a seed of its own while the session holds the lease.

```
manifest.py     which paths of a home make up a seed
documents.py    a seed's document: insert, load, list, delete, metadata, status, pool
leases.py       who may use a pooled seed, on the server's clock
capture.py, plant.py, refresh.py, purge.py    what sessions do with seeds
home.py         packing and planting on the host, without following links that an agent may have made
archive.py      tar archives: composed, filtered, merged; plain functions over files
parts.py        encryption in parts, sans-IO: what is stored can be read and written in constant memory
blobs.py        a seed's archive in GridFS
writes.py       compare and swap of a seed's blob, and a record of blobs in flight, so that a crash leaves no orphan
threads.py      blocking work in threads, and work that a cancellation waits for
```

Everything here runs on asyncio, as motor does. The database must be MongoDB 4.2 or later.

Each function is looked up in this package when another one calls it, so a test that replaces
`optio_agents.seeds.update_seed_blob` sees its replacement called.
"""

from optio_agents.seeds.capture import capture_seed
from optio_agents.seeds.documents import (
    assign_to_pool,
    declare_metadata,
    delete_seed,
    insert_seed,
    list_pool,
    list_seeds,
    load_seed,
    mark_seed_status,
)
from optio_agents.seeds.errors import LeaseLost, SeedArchiveError
from optio_agents.seeds.leases import (
    LEASE_TTL_SECONDS,
    acquire,
    reap_expired_leases,
    release,
    renew_lease,
)
from optio_agents.seeds.manifest import SeedManifest
from optio_agents.seeds.plant import merge_seed, plant_seed
from optio_agents.seeds.purge import purge_seed
from optio_agents.seeds.refresh import overwrite_seed_member, refresh_seed
from optio_agents.seeds.writes import sweep_blobs, update_seed_blob

__all__ = [
    "LEASE_TTL_SECONDS",
    "LeaseLost",
    "SeedArchiveError",
    "SeedManifest",
    "acquire",
    "assign_to_pool",
    "capture_seed",
    "declare_metadata",
    "delete_seed",
    "insert_seed",
    "list_pool",
    "list_seeds",
    "load_seed",
    "mark_seed_status",
    "merge_seed",
    "overwrite_seed_member",
    "plant_seed",
    "purge_seed",
    "reap_expired_leases",
    "refresh_seed",
    "release",
    "renew_lease",
    "sweep_blobs",
    "update_seed_blob",
]
