# file: sync/seqlock.c
# caught by: ^seqlock: store
# A writer fills the copy that is being read.
s/copy_\(s, size, version \+ 1\), value/copy_(s, size, version), value/
