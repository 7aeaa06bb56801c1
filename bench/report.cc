// bench/report.cc: all cases, ours and the peers beside each other, in one run.
//
//   bazel run -c opt //bench:report -- [--only REGEX] [--seconds N] [--json FILE]

#include <getopt.h>
#include <sys/utsname.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>

#include "bench/modules.h"

namespace {

struct Options {
  std::string only, json;
  double seconds = 1;
};

[[noreturn]] void usage(int status) {
  fprintf(status ? stderr : stdout,
          "report [--only REGEX] [--seconds N] [--json FILE]\n"
          "  --only REGEX   the cases whose name matches, e.g. spsc/rtt or mpmc/\n"
          "  --seconds N    how long each contender of each case is measured, over all repetitions (1)\n"
          "  --json FILE    the rows, too, as an array of objects\n"
          "Exit status: 0 measured, targets met or missed; 1 a result was wrong, or the harness failed; 2 usage\n");
  exit(status);
}

Options parse(int argc, char **argv) {
  static const option kLong[] = {{"only", required_argument, nullptr, 'o'},
                                 {"seconds", required_argument, nullptr, 's'},
                                 {"json", required_argument, nullptr, 'j'},
                                 {"help", no_argument, nullptr, 'h'},
                                 {}};
  Options options;
  char *end = nullptr;
  for (int c; (c = getopt_long(argc, argv, "", kLong, nullptr)) != -1;) switch (c) {
      case 'o': options.only = optarg; break;
      case 's':
        options.seconds = strtod(optarg, &end);
        if (*end || !(options.seconds > 0 && options.seconds <= 3600)) usage(2);
        break;
      case 'j': options.json = optarg; break;
      case 'h': usage(0);
      default: usage(2);
    }
  if (optind != argc) usage(2);
  return options;
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

void head(const Options &options) {
  utsname system;
  uname(&system);
  printf("%s, processors %d and %d, %s %s, gcc %s\n", processor().c_str(), bench::processors().at(0),
         bench::processors().at(1), system.sysname, system.release, __VERSION__);
  printf(
      "%d repetitions, %.3g s in all for each contender; \"pp\": the median round trip of two cache lines, measured "
      "beside each\n\n",
      bench::kRepetitions, options.seconds);
}

// bazel run starts us elsewhere than where the user stands.
std::string from_here(const std::string &path) {
  const char *here = getenv("BUILD_WORKING_DIRECTORY");
  return here && path[0] != '/' ? std::string(here) + "/" + path : path;
}

bool report(const Options &options) {
  std::ofstream out;
  if (!options.json.empty()) {
    out.open(from_here(options.json));
    if (!out) throw std::runtime_error("cannot write " + options.json);
  }
  head(options);
  bench::Suite suite(options.seconds);
  bench::add_spsc(suite);
  bench::add_mpmc(suite);
  bench::add_queue(suite);
  bench::add_count(suite);
  bench::add_messages(suite);
  bench::add_bytes(suite);
  bench::add_memory(suite);
  bench::add_pipe(suite);
  bench::add_select(suite);
  bench::add_topic(suite);
  bench::add_lock(suite);
  bench::add_semaphore(suite);
  bench::add_condition(suite);
  bench::add_barrier(suite);
  bench::add_rwlock(suite);
  bench::add_seqlock(suite);
  bench::add_heap(suite);
  bench::add_dict(suite);
  bench::add_data(suite);
  bench::add_ordered(suite);
  bench::add_work(suite);
  bench::add_start(suite);
  bool right = suite.run(options.only);
  std::cout << bench::table(suite.rows());
  if (out.is_open() && !(out << bench::json(suite.rows())).flush())
    throw std::runtime_error("cannot write " + options.json);
  return right;
}

}  // namespace

int main(int argc, char **argv) {
  Options options = parse(argc, argv);
  try {
    return report(options) ? 0 : 1;
  } catch (const std::exception &e) {
    fprintf(stderr, "report: %s\n", e.what());
    return 1;
  }
}
