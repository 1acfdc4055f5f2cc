"""Orders for programs of other departments: what tells of a person is encrypted by a key of that person."""
