# file: ipc/work/serve.c
# caught by: ^executor: a worker finds an order of what another runs$
# What runs in a living worker is begun again.
s/^  return !shoal_executor_runner_lives_\(r->ex, r->s\);$/  return 1;/
