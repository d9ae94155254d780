"""How fast the functions start, what a run costs, and a function in Python beside it. `make bench-lambda` runs it."""
