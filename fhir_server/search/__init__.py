"""Search: what was asked, as a predicate over stored entries. Pure: no input, no output, no clock."""
