// bench/against/dict_servers.h: what else keeps values by their keys for many processes: a file that all map (LMDB), a
// server at a Unix socket (Redis), Python's manager.
#pragma once

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/against/dicts.h"

namespace bench {

// In memory, as ours; with what is in it when it goes.
struct TemporaryFolder {
  char path[32] = "/dev/shm/bench-XXXXXX";
  const pid_t maker = getpid();
  TemporaryFolder() {
    if (!mkdtemp(path)) throw std::runtime_error("mkdtemp");
  }
  ~TemporaryFolder() {
    if (getpid() != maker) return;
    for (const char *name : {"data.mdb", "lock.mdb", "socket"}) unlink((std::string(path) + "/" + name).c_str());
    rmdir(path);
  }
  TemporaryFolder(const TemporaryFolder &) = delete;
  TemporaryFolder &operator=(const TemporaryFolder &) = delete;
};

// A transaction for each operation; nothing waits for a disk. Each process opens it anew: it does not live across fork.
struct Lmdb {
  static constexpr bool kThreads = false, kFar = true;  // open() has its pages brought
  TemporaryFolder folder;
  MDB_env *env = nullptr;
  MDB_txn *reads = nullptr;
  MDB_dbi dbi = 0;
  pid_t owner = 0;
  explicit Lmdb(size_t) {}
  static void must(int rc) {
    if (rc) throw std::runtime_error(std::string("lmdb: ") + mdb_strerror(rc));
  }
  void open() {
    if (owner == getpid()) return;
    owner = getpid();
    MDB_txn *txn;
    must(mdb_env_create(&env));
    must(mdb_env_set_mapsize(env, size_t{1} << 30));
    must(mdb_env_open(env, folder.path, MDB_NOSYNC | MDB_WRITEMAP | MDB_NOMETASYNC | MDB_NORDAHEAD, 0600));
    must(mdb_txn_begin(env, nullptr, 0, &txn));
    must(mdb_dbi_open(txn, nullptr, 0, &dbi));
    must(mdb_txn_commit(txn));
    must(mdb_txn_begin(env, nullptr, MDB_RDONLY, &reads));
    look();
    mdb_txn_reset(reads);
  }
  void look() {
    MDB_cursor *cursor;
    MDB_val at, data;
    must(mdb_cursor_open(reads, dbi, &cursor));
    while (mdb_cursor_get(cursor, &at, &data, MDB_NEXT) == 0) continue;
    mdb_cursor_close(cursor);
  }
  void close() {
    mdb_txn_abort(reads);
    mdb_env_close(env);
    owner = 0;
  }
  template <class Key, class Value>
  void fill(uint64_t entries, Key key, Value value) {
    open();
    for (uint64_t n = 0; n < entries;) {
      MDB_txn *txn;
      must(mdb_txn_begin(env, nullptr, 0, &txn));
      for (uint64_t end = std::min(entries, n + 65536); n < end; n++) put(txn, key(n), value(n));
      must(mdb_txn_commit(txn));
    }
    close();
  }
  void put(MDB_txn *txn, const DictKey &k, const DictValue &v) {
    MDB_val at{sizeof k, const_cast<DictKey *>(&k)}, data{sizeof v, const_cast<DictValue *>(&v)};
    must(mdb_put(txn, dbi, &at, &data, 0));
  }
  bool get(const DictKey &k, DictValue &v) {
    open();
    MDB_val at{sizeof k, const_cast<DictKey *>(&k)}, data{};
    must(mdb_txn_renew(reads));
    bool found = mdb_get(reads, dbi, &at, &data) == 0 && data.mv_size == sizeof v;
    if (found) memcpy(&v, data.mv_data, sizeof v);
    mdb_txn_reset(reads);
    return found;
  }
  void set(const DictKey &k, const DictValue &v) {
    MDB_txn *txn;
    open();
    must(mdb_txn_begin(env, nullptr, 0, &txn));
    put(txn, k, v);
    must(mdb_txn_commit(txn));
  }
};

// A program that goes when this one does.
struct Child {
  pid_t pid = 0;
  const pid_t maker = getpid();
  int in = -1, out = -1;  // its, from here
  explicit Child(const std::vector<std::string> &command) {
    int to[2], from[2];
    if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC)) throw std::runtime_error("pipe2");
    pid = fork();
    if (pid < 0) throw std::runtime_error("fork");
    if (pid == 0) {
      std::vector<char *> args;
      for (auto &word : command) args.push_back(const_cast<char *>(word.c_str()));
      args.push_back(nullptr);
      prctl(PR_SET_PDEATHSIG, SIGTERM);
      dup2(to[0], STDIN_FILENO), dup2(from[1], STDOUT_FILENO);
      execvp(args[0], args.data());
      _exit(127);
    }
    close(to[0]), close(from[1]);
    in = to[1], out = from[0];
  }
  ~Child() {
    close(in), close(out);
    if (getpid() != maker) return;
    kill(pid, SIGTERM);
    waitpid(pid, nullptr, 0);
  }
  Child(const Child &) = delete;
  Child &operator=(const Child &) = delete;
};

struct Redis {
  static constexpr bool kThreads = false, kFar = true;
  TemporaryFolder folder;
  std::string socket = std::string(folder.path) + "/socket";
  Child server{{"redis-server", "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly", "no", "--dir",
                folder.path, "--logfile", "/dev/null"}};
  redisContext *context = nullptr;
  pid_t owner = 0;
  explicit Redis(size_t) {}
  void open() {
    if (owner == getpid()) return;
    for (int tries = 0; tries < 1000; tries++) {
      context = redisConnectUnix(socket.c_str());
      if (context && !context->err) break;
      if (context) redisFree(context);
      context = nullptr;
      usleep(10000);
    }
    if (!context) throw std::runtime_error("redis-server does not answer");
    owner = getpid();
  }
  template <class Key, class Value>
  void fill(uint64_t entries, Key key, Value value) {
    open();
    for (uint64_t n = 0; n < entries;) {
      uint64_t begun = n, end = std::min(entries, n + 4096);
      for (; n < end; n++) {
        DictKey k = key(n);
        DictValue v = value(n);
        redisAppendCommand(context, "SET %b %b", &k, sizeof k, &v, sizeof v);
      }
      for (uint64_t i = begun; i < end; i++) freeReplyObject(answer());
    }
  }
  redisReply *answer() {
    void *reply = nullptr;
    if (redisGetReply(context, &reply) || !reply) throw std::runtime_error("redis does not answer");
    return static_cast<redisReply *>(reply);
  }
  bool get(const DictKey &k, DictValue &v) {
    open();
    redisAppendCommand(context, "GET %b", &k, sizeof k);
    redisReply *reply = answer();
    bool found = reply->type == REDIS_REPLY_STRING && reply->len == sizeof v;
    if (found) memcpy(&v, reply->str, sizeof v);
    freeReplyObject(reply);
    return found;
  }
  void set(const DictKey &k, const DictValue &v) {
    open();
    redisAppendCommand(context, "SET %b %b", &k, sizeof k, &v, sizeof v);
    freeReplyObject(answer());
  }
};

// multiprocessing.Manager().dict(): a program that measures itself, for as long as it is told.
struct PythonManager {
  Child python;
  explicit PythonManager(size_t entries)
      : python({"python3", "-c",
                "import multiprocessing, random, sys, time\n"
                "n = int(sys.argv[1])\n"
                "keys = ['%016x' % (i * 0x9e3779b97f4a7c15 % 2**64) for i in range(n)]\n"
                "d = multiprocessing.Manager().dict()\n"
                "for i in range(0, n, 65536): d.update({k: bytes(64) for k in keys[i:i + 65536]})\n"
                "print(0, flush=True)\n"
                "for line in sys.stdin:\n"
                "    end, done = time.monotonic() + float(line), 0\n"
                "    while time.monotonic() < end:\n"
                "        assert len(d[random.choice(keys)]) == 64\n"
                "        done += 1\n"
                "    print(done, flush=True)\n",
                std::to_string(entries)}) {
    said();
  }
  uint64_t said() {
    std::string line;
    for (char c = 0; read(python.out, &c, 1) == 1 && c != '\n';) line += c;
    if (line.empty()) throw std::runtime_error("python3 does not answer");
    return std::stoull(line);
  }
  uint64_t gets(double seconds) {
    std::string ask = std::to_string(seconds) + "\n";
    if (write(python.in, ask.data(), ask.size()) < 0) throw std::runtime_error("python3 does not listen");
    return said();
  }
};

}  // namespace bench
