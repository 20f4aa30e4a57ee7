"""What is said about finished results: whether they are what they should be, and what they were made from."""
