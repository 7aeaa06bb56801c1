# file: core/directory.c
# caught by: ^directory: (create|remove)$
# A dead writer's word is taken over, and what it left is not looked at.
/^int shoal_directory_acquire_/,/^}/s/^  if \(rc == 0\) return 0;$/  if (rc == 0 || rc == -EOWNERDEAD) return 0;/
