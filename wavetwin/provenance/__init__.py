"""Record where a result comes from: commit, changed paths, digests, versions, frozen copies."""
