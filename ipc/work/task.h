// ipc/work/task.h: registered functions: known by name in every process that runs the same program.
//
// USE
//   struct square { double in, out; };
//   SHOAL_TASK(square, struct square) {       // declares `arg`, a struct square *
//     if (arg->in < 0) return shoal_task_fail(-EINVAL, "%g is negative", arg->in);  // which a pool's user hears of
//     arg->out = arg->in * arg->in;
//     return 0;
//   }
//   SHOAL_BYTES_TASK(reversed) {              // of any number of bytes: declares `arg`, a const struct shoal_bytes *
//     char *out;
//     int rc = shoal_bytes_reply(arg, arg->size, (void **)&out);
//     for (uint64_t i = 0; !rc && i < arg->size; i++) out[i] = ((const char *)arg->data)[arg->size - 1 - i];
//     return rc;
//   }
//   const struct shoal_task *task;
//   int rc = shoal_task_find("square", &task);
//   if (!rc) rc = task->run(&argument);
//
// SAFETY  The registry is a section of the program, made by the linker: read-only, complete before main, the same in
//         every forked child; any thread, any time. It holds what is linked: an object in a static library that nothing
//         else refers to is not (Bazel: alwayslink). A shared library has a registry of its own.
// COST    Finding compares names one by one: look a task up once, not once a call.
#pragma once

#include "core/error.h"

SHOAL_BEGIN

struct shoal_task {
  const char *name;
  const char *type;            // of the argument, as it was written
  uint64_t size;               // of the argument
  int (*run)(void *argument);  // 0 or whatever the task answers
  int bytes;                   // 1: the argument is a struct shoal_bytes, and `size` 0
};

// What a bytes task is given, by an executor (ipc/work/executor.h). There as long as it runs; aligned to 8.
struct shoal_bytes {
  const void *data;
  uint64_t size;
  int (*reply_)(const struct shoal_bytes *, uint64_t, void **);
};
// Room for its result, `size` bytes, aligned to 16, in the segment: what stands there when the task answers 0 is what
// shoal_future_get_bytes gives. Called again: another size, what was written so far moved there. Without it the result
// is empty. -ENOSPC: the heap is full, and the room is as it was. Does not sleep. In the task's thread.
SHOAL_INLINE int shoal_bytes_reply(const struct shoal_bytes *bytes, uint64_t size, void **out) {
  return bytes->reply_(bytes, size, out);
}

// Answers `code`, and has shoal_reason() say why, as the library's own calls do. A task that answers the error of such
// a call has said why already.
#define shoal_task_fail(code, ...) shoal_fail_(code, __VA_ARGS__)

// -ENOENT; -EEXIST two tasks of the program bear this name.
int shoal_task_find(const char *name, const struct shoal_task **out) SHOAL_MUST_CHECK;
// Calls `each` for every task, in no order; stops at its first non-zero answer and returns it.
int shoal_task_list(int (*each)(const struct shoal_task *, void *), void *arg);
// 0: all names differ; else -EEXIST and shoal_reason() names one that does not.
int shoal_task_check(void);

// ---- for what carries tasks from one process to another, perhaps of another program ----
// What stands for a registered task there: 0 if it is not registered here. The low 4 bits are the carrier's. In the
// others a hash of name, type and size: another program's task of the same name, but of another argument, is another
// task.
uint64_t shoal_task_word_(const struct shoal_task *task);
// The task of this program that the word stands for; NULL: there is none.
const struct shoal_task *shoal_task_of_(uint64_t word);

#if defined(__has_attribute)
#if __has_attribute(retain)
#define SHOAL_TASK_ENTRY_ __attribute__((used, retain, section("shoal_tasks")))
#endif
#endif
#ifndef SHOAL_TASK_ENTRY_
#define SHOAL_TASK_ENTRY_ __attribute__((used, section("shoal_tasks")))
#endif

// The section is an array of pointers, not of structs: an array the compiler cannot pad.
#define SHOAL_TASK(name_, T)                                                               \
  static int name_(T *arg);                                                                \
  static int name_##_run_(void *arg) { return name_((T *)arg); }                           \
  static const struct shoal_task name_##_task_ = {#name_, #T, sizeof(T), name_##_run_, 0}; \
  static const struct shoal_task *const name_##_entry_ SHOAL_TASK_ENTRY_ = &name_##_task_; \
  static T *const name_##_type_ __attribute__((unused)) = 0;                               \
  static int name_(T *arg __attribute__((unused)))

#define SHOAL_BYTES_TASK(name_)                                                                      \
  static int name_(const struct shoal_bytes *arg);                                                   \
  static int name_##_run_(void *arg) { return name_((const struct shoal_bytes *)arg); }              \
  static const struct shoal_task name_##_task_ = {#name_, "struct shoal_bytes", 0, name_##_run_, 1}; \
  static const struct shoal_task *const name_##_entry_ SHOAL_TASK_ENTRY_ = &name_##_task_;           \
  static int name_(const struct shoal_bytes *arg __attribute__((unused)))

SHOAL_END
