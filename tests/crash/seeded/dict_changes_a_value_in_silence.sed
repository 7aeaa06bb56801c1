# file: ipc/data/dict_internal.h
# caught by: ^dict: set, many words
# The head does not say that the value is being changed: who reads meanwhile, or after a death, finds half of it.
s/^  shoal_store64_release\(&it->head, head \| SHOAL_ITEM_CHANGING_\);.*$//
