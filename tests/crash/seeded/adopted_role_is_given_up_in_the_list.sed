# file: core/robust.c
# caught by: ^fifo: get, another dead with the message, one stopped inside, a third adopts it$
# Who gives an adopted role up leaves his list after its next heir may have come, who has written his own links there.
/^static void live_leave/,/^}/{
/^  shoal_robust_delist_\(t, r\);$/d
s/^  shoal_store32_release\(&r->word, word\);.*$/&\n  shoal_robust_delist_(t, r);/
}
