"""What a worker's process shows to its operators: metrics and health over HTTP, and its log."""
