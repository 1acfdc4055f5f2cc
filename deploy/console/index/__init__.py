"""What the console knows of orders: a searchable copy of topics on the local disk, made anew whenever it is lost."""
