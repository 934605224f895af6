"""What a connection to another host costs, against ssh by hand and against other bridges."""
