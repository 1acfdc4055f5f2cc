"""The native engine: C sources, the build that makes the extension `_avro` of them, and the programs that it runs."""
