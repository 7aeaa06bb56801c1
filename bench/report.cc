// bench/report.cc: all cases, ours and the peers beside each other, in one run.
//
//   bazel run -c opt //bench:report -- [--only REGEX] [--seconds N] [--json FILE] [--html FILE]
//   bazel run -c opt //bench:report -- --from JSON [--html FILE]

#include <getopt.h>
#include <sys/utsname.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>

#include "bench/modules.h"

namespace {

struct Options {
  std::string only, json, html, from;
  double seconds = 1;
};

[[noreturn]] void usage(int status) {
  fprintf(status ? stderr : stdout,
          "report [--only REGEX] [--seconds N] [--json FILE] [--html FILE]\n"
          "report --from JSON [--html FILE]\n"
          "  --only REGEX   the cases whose name matches, e.g. spsc/rtt or mpmc/\n"
          "  --seconds N    how long each contender of each case is measured, over all repetitions (1)\n"
          "  --json FILE    the rows, too, as an array of objects\n"
          "  --html FILE    the rows, too, as a page with plots\n"
          "  --from JSON    the rows that an earlier run has written there; nothing is measured\n"
          "Exit status: 0 measured, targets met or missed; 1 a result was wrong, or the harness failed; 2 usage\n");
  exit(status);
}

Options parse(int argc, char **argv) {
  static const option kLong[] = {{"only", required_argument, nullptr, 'o'},
                                 {"seconds", required_argument, nullptr, 's'},
                                 {"json", required_argument, nullptr, 'j'},
                                 {"html", required_argument, nullptr, 'p'},
                                 {"from", required_argument, nullptr, 'f'},
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
      case 'p': options.html = optarg; break;
      case 'f': options.from = optarg; break;
      case 'h': usage(0);
      default: usage(2);
    }
  bool measures = !options.only.empty() || options.seconds != Options().seconds || !options.json.empty();
  if (optind != argc || (measures && !options.from.empty())) usage(2);
  return options;
}

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown processor";
}

std::string machine() {
  utsname system;
  uname(&system);
  return processor() + ", processors " + std::to_string(bench::processors().at(0)) + " and " +
         std::to_string(bench::processors().at(1)) + ", " + system.sysname + " " + system.release +
         ", gcc " __VERSION__;
}

std::string today() {
  time_t now = time(nullptr);
  char text[16];
  strftime(text, sizeof text, "%F", gmtime(&now));
  return text;
}

std::string how(const Options &options) {
  char text[96];
  snprintf(text, sizeof text, "%d repetitions, %.3g s in all for each contender", bench::kRepetitions, options.seconds);
  return text;
}

// bazel run starts us elsewhere than where the user stands.
std::string from_here(const std::string &path) {
  const char *here = getenv("BUILD_WORKING_DIRECTORY");
  return here && path[0] != '/' ? std::string(here) + "/" + path : path;
}

class Output {
 public:
  explicit Output(const std::string &path) : path_(path) {
    if (path.empty()) return;
    out_.open(from_here(path));
    if (!out_) throw std::runtime_error("cannot write " + path);
  }
  void write(const std::string &text) {
    if (out_.is_open() && !(out_ << text).flush()) throw std::runtime_error("cannot write " + path_);
  }

 private:
  std::string path_;
  std::ofstream out_;
};

bool measure(const Options &options, std::vector<bench::Row> *rows) {
  std::string where = machine(), when = today(), long_ = how(options);
  printf("%s\n%s; \"pp\": the median round trip of two cache lines, measured beside each\n\n", where.c_str(),
         long_.c_str());
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
  *rows = suite.rows();
  for (bench::Row &r : *rows) r.machine = where, r.date = when, r.how = long_;
  return right;
}

bool read(const Options &options, std::vector<bench::Row> *rows) {
  std::ifstream in(from_here(options.from));
  std::stringstream text;
  if (!in || !(text << in.rdbuf())) throw std::runtime_error("cannot read " + options.from);
  *rows = bench::rows_of(text.str());
  return true;
}

bool report(const Options &options) {
  Output as_json(options.json), as_page(options.html);
  std::vector<bench::Row> rows;
  bool right = options.from.empty() ? measure(options, &rows) : read(options, &rows);
  std::cout << bench::table(rows);
  as_json.write(bench::json(rows));
  as_page.write(bench::page(rows));
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
