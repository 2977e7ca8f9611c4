"""One run and its folder: what is settled before it, its teacher, its training, its record."""
