// bench/against/dicts.h: what else finds values by their keys: in a process, or between processes under one mutex.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <sys/mman.h>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>

#include "bench/harness/lanes.h"

namespace bench {

struct DictKey {
  uint64_t word[2];
  bool operator==(const DictKey &o) const { return word[0] == o.word[0] && word[1] == o.word[1]; }
  template <typename H>
  friend H AbslHashValue(H h, const DictKey &k) {
    return H::combine(std::move(h), k.word[0], k.word[1]);
  }
};
struct DictValue {
  uint64_t word[8];
};

// A dict is a type with
//   static constexpr bool kThreads;           // it lives only inside one process
//   static constexpr bool kFar;               // its entries are not in the pages of who reads them
//   explicit D(size_t entries);
//   bool get(const DictKey &, DictValue &); void set(const DictKey &, const DictValue &);
// Gives large arrays huge pages, where the kernel gives them to who asks.
template <class T>
struct HugePages {
  using value_type = T;
  HugePages() = default;
  template <class U>
  explicit HugePages(const HugePages<U> &) {}
  T *allocate(size_t n) {
    constexpr size_t kPage = size_t{2} << 20;
    size_t bytes = (n * sizeof(T) + kPage - 1) / kPage * kPage;
    void *memory = aligned_alloc(kPage, bytes);
    if (!memory) throw std::bad_alloc();
    madvise(memory, bytes, MADV_HUGEPAGE);
    return static_cast<T *>(memory);
  }
  void deallocate(T *memory, size_t) { free(memory); }
  template <class U>
  bool operator==(const HugePages<U> &) const {
    return true;
  }
  template <class U>
  bool operator!=(const HugePages<U> &) const {
    return false;
  }
};

template <template <class> class Allocator>
struct FlatHashMapIn {  // one thread's, without a lock
  static constexpr bool kThreads = true, kFar = false;
  using Map = absl::flat_hash_map<DictKey, DictValue, absl::container_internal::hash_default_hash<DictKey>,
                                  std::equal_to<DictKey>, Allocator<std::pair<const DictKey, DictValue>>>;
  Map map;
  explicit FlatHashMapIn(size_t) {}
  bool get(const DictKey &k, DictValue &v) {
    auto it = map.find(k);
    if (it == map.end()) return false;
    v = it->second;
    return true;
  }
  void set(const DictKey &k, const DictValue &v) { map[k] = v; }
};

using FlatHashMap = FlatHashMapIn<std::allocator>;
using FlatHashMapHuge = FlatHashMapIn<HugePages>;

struct BoostDict {
  static constexpr bool kThreads = false, kFar = false;
  struct Hash {
    size_t operator()(const DictKey &k) const { return absl::Hash<DictKey>()(k); }
  };
  using Buffer = boost::interprocess::managed_external_buffer;
  using Pair = std::pair<const DictKey, DictValue>;
  using Allocator = boost::interprocess::allocator<Pair, Buffer::segment_manager>;
  using Map = boost::unordered_map<DictKey, DictValue, Hash, std::equal_to<>, Allocator>;
  Arena arena;
  Buffer buffer;
  boost::interprocess::interprocess_mutex *mutex;
  Map *map;
  explicit BoostDict(size_t entries)
      : arena(entries * 256 + (1 << 20)),
        buffer(boost::interprocess::create_only, arena.take(entries * 256), entries * 256) {
    mutex = buffer.construct<boost::interprocess::interprocess_mutex>("m")();
    map = buffer.construct<Map>("d")(entries, Hash(), std::equal_to<>(), buffer.get_segment_manager());
  }
  bool get(const DictKey &k, DictValue &v) {
    boost::interprocess::scoped_lock<boost::interprocess::interprocess_mutex> held(*mutex);
    auto it = map->find(k);
    if (it == map->end()) return false;
    v = it->second;
    return true;
  }
  void set(const DictKey &k, const DictValue &v) {
    boost::interprocess::scoped_lock<boost::interprocess::interprocess_mutex> held(*mutex);
    (*map)[k] = v;
  }
};

}  // namespace bench
