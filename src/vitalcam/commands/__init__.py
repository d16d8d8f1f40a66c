"""Commands beside `measure`, one file each; a file is imported only when its command is asked for."""
