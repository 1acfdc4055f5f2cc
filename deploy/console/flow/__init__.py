"""What flows now: rates, lags and latencies of the last minutes, drawn as charts."""
