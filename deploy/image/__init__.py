"""The OCI image: its definition, the script of its steps, and its health command."""
