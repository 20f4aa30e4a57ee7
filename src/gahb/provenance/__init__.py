"""What is said of finished results: whether they are what they should be, what they were made from."""
