# file: ipc/queue/topic.c
# caught by: ^topic: get, another passes meanwhile, two publishers asleep
# A publisher that sleeps for room watches one of those in its way, and sleeps on when another dies.
s/SHOAL_EC_AWAITS\)/0)/
