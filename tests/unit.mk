# Unit tests of base, loop, model and host
