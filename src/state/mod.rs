//! What survives a run: cursors, links, baselines, intents, the queue and the lease.
