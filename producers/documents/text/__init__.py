"""Orders in text: its language, fields, tables, and how sure each of them is."""
