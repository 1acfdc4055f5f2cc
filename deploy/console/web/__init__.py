"""The console's pages over HTTP."""
