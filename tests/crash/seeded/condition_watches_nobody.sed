# file: sync/condition.c
# caught by: ^condition: wait, one behind$
# A waiter sleeps on its own event only: nobody sees the one before it die.
s/^  if \(!n->before\) return (shoal_futex_wait\()/  return \1/
