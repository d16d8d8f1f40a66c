"""The networks, one file each; they need the extra ``[train]``. The folder is the registry."""
