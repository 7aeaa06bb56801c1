# file: ipc/queue/queue_lease.c
# caught by: ^policy: receive and release, one goes to dead letters$
# The message is ended before its copy is among the dead letters.
s/^  int rc = q->dead \? copy_to\(q, q->dead, &op->loan\) : 0;$/  const struct shoal_loan *loan = \&op->loan;\n  struct shoal_claim claim = claim_at(q, loan->token);\n  char copy[64];\n  memcpy(copy, loan->data, q->element_size < 64 ? q->element_size : 64);\n  shoal_store64_seq_cst(claim.ctl, claim.lap + SHOAL_SLOT_LAP_);\n  int rc = q->dead \&\& shoal_queue_put(q->dead, copy, SHOAL_TRY) < 0;/
