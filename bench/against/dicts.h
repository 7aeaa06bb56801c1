// bench/against/dicts.h: what else finds values by their keys: in a process, or between processes under one mutex.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <boost/interprocess/allocators/allocator.hpp>
#include <boost/interprocess/managed_external_buffer.hpp>
#include <boost/interprocess/sync/interprocess_mutex.hpp>
#include <boost/interprocess/sync/scoped_lock.hpp>
#include <boost/unordered_map.hpp>
#include <cstring>

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
//   explicit D(size_t entries);
//   bool get(const DictKey &, DictValue &); void set(const DictKey &, const DictValue &);
struct FlatHashMap {  // one thread's, without a lock
  static constexpr bool kThreads = true;
  absl::flat_hash_map<DictKey, DictValue> map;
  explicit FlatHashMap(size_t) {}
  bool get(const DictKey &k, DictValue &v) {
    auto it = map.find(k);
    if (it == map.end()) return false;
    v = it->second;
    return true;
  }
  void set(const DictKey &k, const DictValue &v) { map[k] = v; }
};

struct BoostDict {
  static constexpr bool kThreads = false;
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
