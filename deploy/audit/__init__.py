"""The audit of the whole product: read, held against its hash chains, and who must approve what."""
