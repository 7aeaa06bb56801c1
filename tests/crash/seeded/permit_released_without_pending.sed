# file: sync/semaphore.h
# caught by: ^semaphore: release, two asleep
# Free, and list_op_pending does not point at the permit: whoever dies before it wakes is noticed by nobody.
s/^  shoal_store32_release\(&p->robust\.word, 0\);.*$/  t->head->pending = NULL;\n&/
