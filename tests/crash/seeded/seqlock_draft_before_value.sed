# file: sync/seqlock.c
# caught by: ^seqlock: pair, a change, then a store
# The draft is said to be the next version before that is published.
s/^  publish\(s, draft_of\(s, size\), size\);$/  s->draft = version_of(s) + 1;\n  SHOAL_COMPILER_BARRIER();\n&/
