"""Forecasts recognised revenue, and says how well it would have forecast the past."""
