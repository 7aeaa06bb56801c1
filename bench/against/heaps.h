// bench/against/heaps.h: what else gives memory: of a process, or of a segment.
#pragma once

#include <boost/interprocess/managed_external_buffer.hpp>
#include <cstdlib>

extern "C" void *__libc_malloc(size_t);
extern "C" void __libc_free(void *);

namespace bench {

// A heap is a type with
//   static constexpr bool kThreads;           // its blocks live only inside one process
//   explicit H(void *memory, size_t bytes);   // zeroed memory that all lanes share
//   void *alloc(size_t bytes); void free(void *block);
//   uint64_t say(void *block); void *find(uint64_t said);   // between lanes
struct OfAProcess {
  static constexpr bool kThreads = true;
  OfAProcess(void *, size_t) {}
  uint64_t say(void *block) { return reinterpret_cast<uintptr_t>(block); }
  void *find(uint64_t said) { return reinterpret_cast<void *>(said); }
};
struct Jemalloc : OfAProcess {  // every program of this house is linked with it
  using OfAProcess::OfAProcess;
  void *alloc(size_t bytes) { return malloc(bytes); }
  void free(void *block) { ::free(block); }
};
struct Glibc : OfAProcess {
  // Two threads must not be the first to use it: it expects that pthread_create has, but that calls jemalloc here. Both
  // would believe that the main arena is theirs, and the second to end aborts.
  Glibc(void *memory, size_t bytes) : OfAProcess(memory, bytes) { __libc_free(__libc_malloc(1)); }
  void *alloc(size_t bytes) { return __libc_malloc(bytes); }
  void free(void *block) { __libc_free(block); }
};
struct BoostManaged {
  static constexpr bool kThreads = false;
  // As managed_shared_memory is; managed_external_buffer has no mutex, and two processes damage it.
  using Buffer = boost::interprocess::basic_managed_external_buffer<
      char, boost::interprocess::rbtree_best_fit<boost::interprocess::mutex_family>, boost::interprocess::iset_index>;
  Buffer buffer;
  BoostManaged(void *memory, size_t bytes) : buffer(boost::interprocess::create_only, memory, bytes) {}
  void *alloc(size_t bytes) { return buffer.allocate(bytes, std::nothrow); }
  void free(void *block) { buffer.deallocate(block); }
  uint64_t say(void *block) { return static_cast<uint64_t>(buffer.get_handle_from_address(block)); }
  void *find(uint64_t said) { return buffer.get_address_from_handle(static_cast<Buffer::handle_t>(said)); }
};

}  // namespace bench
