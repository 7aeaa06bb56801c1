# file: ipc/queue/queue_mpmc.c
# caught by: ^queue: stopped, a get on its way to sleep; a put dies
# The event is bumped after the publish only: a sleeper that armed before the claim, and is not queued yet when the putter
# dies between publish and wake, sleeps beside the message.
/^static int claimed\(/,/^}/s/^  bump_for_message\(q\);$//
