// tests/crash/queue_fixture.h: a queue of elements, of a kind that many use - MPMC, FIFO, LIFO, PRIORITY -, what its
// victims do, those who sleep at it, and the survivor: it takes what is there, then fills and empties the queue.
//
// USE
//   static void part(void) { queue_make((struct shoal_queue_options){.kind = SHOAL_QUEUE_LIFO}, 4, 3); }
//   CRASH_SCENARIO(get_part, .name = "lifo: get, part full", .setup = part, .prepare = consuming, .op = op_get,
//                  .check = check, .cleanup = queue_unmake);
#pragma once

#include "ipc/queue/queue.h"
#include "tests/crash/fixture.h"

#define CAPACITY 4u

struct message {
  int64_t key;  // falls as the id rises: PRIORITY takes out as LIFO does
  uint32_t id, not_id;
};
SHOAL_QUEUE_TYPED(messages, struct message)

enum {
  TOGETHER = OWN_WORDS,
  QUEUE_WORDS
};  // T->word: some were put side by side, in no order; a file's own begin behind it

extern struct shoal_queue *Q;
extern struct shoal_loan loan;  // of the calling process

// ---- the driver, which puts and gets, and never waits: a producer from here on, and no consumer ----
// Placed, of `CAPACITY`; `before` messages went through, `inside` more are in it.
void queue_make(struct shoal_queue_options options, uint32_t before, uint32_t inside);
void queue_place(void *memory, uint64_t size, struct shoal_queue_options options, struct shoal_queue **out);
void queue_unmake(void);
struct message message(uint32_t id);
void put(uint32_t id);
void put_next(void);
void put_two(void);
void get(void);

// ---- looked at from outside ----
uint32_t there(void);  // put, and not received for good
int can_put(void);
int is_closed(void);

// ---- what victims do ----
void took(const struct message *m);
void producing(void), consuming(void), not_producing(void);
void put_within(uint32_t id, shoal_deadline deadline);
void get_within(shoal_deadline deadline);
void op_put(void), op_put_another(void), op_try_put(void), op_put_n(void);
void op_get(void), op_try_get(void), op_get_n(void);
void reserve(void), op_commit(void), op_cancel(void), op_reserve_commit(void), op_reserve_cancel(void);
void receive(void), release(void), op_receive_release(void), op_return(void), op_receive_return(void);
void op_close(void), op_leave_producing(void), op_leave_consuming(void);

// An actor of a kind with a lock: inside until the gate opens. Who waits for it wakes, its second over.
void inside_until_told(int i), a_second_passes(void);

// ---- the survivor ----
void drain(void);
void fill_and_empty(void);
void survive(void);
// All that was in the queue comes out, nothing comes twice; and (check) what put acknowledged.
void check_but_put(void);
void check(void);

// ---- those who sleep ----
void consumer(int gated), producer(int gated), puts_one(int i);
// Whatever the victim did, messages that are there are taken, and later ones too; free places are used.
void consumers_go_on(void);
void producers_go_on(void);
// The victim sleeps for a message, or for room: the others sleep behind it, or before it.
void first_in_line(void), first_in_line_died(void), last_in_line(void);
void first_for_room(void), first_for_room_died(void);
