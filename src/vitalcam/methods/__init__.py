"""The classical methods, one file each: mean skin colour in, pulse wave out. The folder is the registry."""
