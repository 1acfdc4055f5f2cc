"""The ledger's facts as a star schema of Parquet files, for DuckDB, Spark, Trino and whatever else reads them."""
