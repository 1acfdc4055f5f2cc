"""The console: a web page for the people who work with orders, dead letters and differences."""
