"""What the tests of several phases share."""
