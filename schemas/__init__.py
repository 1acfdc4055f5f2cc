"""The contract between all rooms: models, Avro schemas, topics, codec, mappings, settings and errors."""
