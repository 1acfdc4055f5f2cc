"""Orders in PDFs and images."""
