# file: ipc/work/starter.c
# caught by: ^starter: it is asked for a child$
# Only the starter tells its child's number: killed in between, it leaves one that nobody knows.
/^static void .* be_child\(/,/^\}/s/^  tell\(fd\[GATE\], getpid\(\), 0\);$//
