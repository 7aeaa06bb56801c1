#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "bench/harness/plot.h"

namespace bench {

namespace {

const char kStyle[] = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; background: #fff; max-width: 900px; margin: 2em auto; padding: 0 1em }
h1, h2, h3 { line-height: 1.2 } h2 { margin-top: 2.5em; border-bottom: 1px solid #ccd } h3 { margin: 2em 0 .3em; font-size: 1em }
p.said { margin: 0; color: #556 } nav a { margin-right: .8em }
table { border-collapse: collapse; font-size: 12px } th { text-align: left } td, th { padding: 2px 8px 2px 0; border-bottom: 1px solid #e4e7ec; vertical-align: top }
td.n { text-align: right; white-space: nowrap } .met { color: #176b3a } .missed { color: #b3261e; font-weight: 600 }
svg { width: 100%; height: auto; display: block } svg text { font-size: 12px; fill: #37424d } svg text.tick { fill: #68737f; font-size: 11px }
svg text.ours { font-weight: 600; fill: #0b6e4f } svg text.limit { fill: #a34a00 }
circle.ours { fill: #0b6e4f } rect.peer { fill: #5b7083 } path.limit { fill: #d9730d }
circle.hollow, rect.hollow, path.hollow { fill: #fff; stroke-width: 2 } circle.ours.hollow { stroke: #0b6e4f } rect.peer.hollow { stroke: #5b7083 } path.limit.hollow { stroke: #d9730d }
line.ours { stroke: #0b6e4f; stroke-width: 2 } line.peer { stroke: #5b7083; stroke-width: 2 } line.limit { stroke: #d9730d; stroke-width: 2 }
line.way { stroke: #aab4bf; stroke-width: 2 } line.grid { stroke: #e4e7ec } line.pivot { stroke: #37424d; stroke-dasharray: 3 3 } line.leader { stroke: #ccd2d9 }
path.course { fill: none; stroke-width: 2 } path.course.ours { stroke: #0b6e4f } path.course.peer { stroke: #5b7083 } path.course.limit { fill: none; stroke: #d9730d }
path.band { fill: #0b6e4f; fill-opacity: .15 }
)";

// What is the same but for one number: a line for each contender. The first group of the pattern is the number, or two
// of them.
struct Family {
  const char *pattern, *title, *x_name;
  bool sum;  // x is the sum of two groups
};
const Family kProcesses[] = {
    {"mpmc/stream/8/([0-9]+)p([0-9]+)c", "The mpmc ring, messages of 8 bytes", "producers and consumers", true},
    {"queue/8/([0-9]+)p([0-9]+)c", "A queue that blocks, messages of 8 bytes", "producers and consumers", true},
    {"topic/([0-9]+)", "A topic: what a publish costs", "subscriptions", false},
    {"barrier/([0-9]+)", "A barrier: turns", "processes", false},
    {"dict/get/([0-9]+)", "A dict of a million entries: gets", "processes", false},
};
const Family kSizes[] = {
    {"spsc/rtt/([0-9]+)/p50", "The spsc ring there and back, p50", "bytes", false},
    {"spsc/stream/([0-9]+)/single/16384", "The spsc ring, a message a call", "bytes", false},
    {"spsc/stream/([0-9]+)/batch32/16384", "The spsc ring, 32 messages a call", "bytes", false},
    {"queue/spsc/stream/([0-9]+)", "A queue of kind SPSC that may block", "bytes", false},
    {"bytes/copy/([0-9]+[KM]?i?)", "Messages of any length through a pipe", "bytes", false},
    {"heap/small/([0-9]+)", "A small block allocated and freed", "bytes", false},
    {"heap/large/([0-9]+)", "A large block allocated and freed", "bytes", false},
    {"seqlock/busy/([0-9]+)", "A snapshot read beside a writer that never pauses", "bytes", false},
    {"select/([0-9]+)/added", "What a select adds", "queues", false},
};

double size_of(const std::string &text) {
  size_t end;
  double n = std::stod(text, &end);
  return text.compare(end, 2, "Ki") == 0 ? n * 1024 : text.compare(end, 2, "Mi") == 0 ? n * 1048576 : n;
}

// "" if fewer than two rows are of the family.
std::string chart(const std::vector<Row> &rows, const Family &family) {
  std::map<std::string, Line> all;
  std::set<double> places;
  std::string unit;
  for (const Row &r : rows) {
    std::smatch m;
    if (!std::regex_match(r.name, m, std::regex(family.pattern))) continue;
    double x = size_of(m[1]) + (family.sum ? size_of(m[2]) : 0);
    auto point = [&](const std::string &name, Role role, const Spread &s) {
      Line &line = all[name];
      line.label = name, line.role = role;
      if (s.median > 0) line.points.emplace_back(x, s);
    };
    places.insert(x);
    unit = r.unit + (r.better == Better::kHigher ? ", more is better" : ", less is better");
    point("shoal", Role::kOurs, r.ours);
    for (const auto &[name, s] : r.peers) point(name, Role::kPeer, s);
    if (!r.limit_name.empty()) point(r.limit_name, Role::kLimit, r.limit);
  }
  std::vector<Line> drawn;
  for (auto &[name, line] : all) {
    std::sort(line.points.begin(), line.points.end(), [](auto &a, auto &b) { return a.first < b.first; });
    if (!line.points.empty()) drawn.push_back(line);
  }
  if (places.size() < 2 || drawn.empty()) return "";
  return std::string("<h3>") + escaped(family.title) + "</h3>\n" + lines(family.title, family.x_name, unit, drawn);
}

template <size_t N>
std::string charts(const std::vector<Row> &rows, const char *id, const char *heading, const Family (&families)[N]) {
  std::string out;
  for (const Family &f : families) out += chart(rows, f);
  if (out.empty()) return "";
  return std::string("<h2 id=\"") + id + "\">" + heading + "</h2>\n" + out;
}

std::string module_of(const Row &r) { return r.name.substr(0, r.name.find('/')); }

std::string verdict(const Row &r) {
  if (!r.judged) return "";
  return std::string("<span class=\"") + (r.met ? "met\">met" : "missed\">missed") + "</span>";
}

// The row behind `r` is its tail: the same case's p99.9.
bool has_tail(const std::vector<Row> &rows, size_t i) {
  size_t p50 = rows[i].name.rfind("/p50");
  return p50 != std::string::npos && p50 + 4 == rows[i].name.size() && i + 1 < rows.size() &&
         rows[i + 1].name == rows[i].name.substr(0, p50) + "/p99.9";
}

// Above this, who is compared did not come through.
constexpr double kBeyond = 1e4;
std::string times(double ratio) { return ratio > kBeyond ? "> " + number(kBeyond) : number(ratio); }

std::string said(const Row &r) {
  std::string out;
  if (!r.best_peer.empty()) out += times(r.ratios.at(r.best_peer)) + " x " + r.best_peer + "; ";
  if (!r.limit_name.empty()) out += times(r.ratios.at(r.limit_name)) + " of " + r.limit_name + "; ";
  if (r.judged) out += "target " + r.promise + ": ";
  return out;
}

// One case, with its tail if there is one.
std::string panel(const Row &r, const Row *tail) {
  auto of = [](const std::map<std::string, Spread> &all, const std::string &name) {
    auto found = all.find(name);
    return found == all.end() ? Spread{} : found->second;
  };
  std::vector<Mark> marks = {{"shoal", Role::kOurs, r.ours, tail ? tail->ours : Spread{}, ""}};
  for (const auto &[name, s] : r.peers)
    marks.push_back({name, Role::kPeer, s, tail ? of(tail->peers, name) : Spread{}, ""});
  if (!r.limit_name.empty()) marks.push_back({r.limit_name, Role::kLimit, r.limit, tail ? tail->limit : Spread{}, ""});
  std::string names = escaped(r.name) + (tail ? ", " + escaped(tail->name) : "");
  std::string out = "<h3>" + names + "</h3>\n<p class=\"said\">";
  out += escaped(said(r)) + verdict(r);
  if (tail) out += "; at p99.9 (hollow): " + escaped(said(*tail)) + verdict(*tail);
  out += "</p>\n";
  std::string unit = r.unit + (r.better == Better::kHigher ? " >" : " <");
  return out + dots(r.name, unit, marks);
}

std::string modules(const std::vector<Row> &rows, std::string *contents) {
  std::string out, module;
  for (size_t i = 0; i < rows.size(); i++) {
    if (module_of(rows[i]) != module) {
      module = module_of(rows[i]);
      out += "<h2 id=\"" + escaped(module) + "\">" + escaped(module) + "</h2>\n";
      *contents += "<a href=\"#" + escaped(module) + "\">" + escaped(module) + "</a> ";
    }
    bool tail = has_tail(rows, i);
    out += panel(rows[i], tail ? &rows[i + 1] : nullptr);
    i += tail;
  }
  return out;
}

std::string beside_peers(const std::vector<Row> &rows) {
  std::vector<Mark> marks;
  for (const Row &r : rows) {
    if (r.best_peer.empty()) continue;
    double ratio = r.ratios.at(r.best_peer);
    Role role = ratio >= 1 ? Role::kOurs : Role::kLimit;
    double shown = std::min(ratio, kBeyond);
    marks.push_back({r.name, role, {shown, shown, shown}, {}, times(ratio) + " x " + r.best_peer});
  }
  if (marks.empty()) return "";
  return "<h2 id=\"peers\">Beside the best peer</h2>\n<p>Right of the line ours is better; a ratio of 2 is twice the "
         "throughput, or half the time.</p>\n" +
         dots("ratios to the best peer", "ratio", marks, 1);
}

std::string spread_text(const Spread &s) {
  return number(s.median) + " [" + number(s.min) + ".." + number(s.max) + "]";
}

std::string all_rows(const std::vector<Row> &rows) {
  std::string out =
      "<h2 id=\"rows\">All rows</h2>\n<table>\n<tr><th>case</th><th>unit</th><th>ours</th><th>best peer</th><th>x</th>"
      "<th>limit</th><th>of it</th><th>target</th><th></th><th>pp, ns</th><th>dropped, kept</th></tr>\n";
  for (const Row &r : rows) {
    bool peer = !r.best_peer.empty(), limit = !r.limit_name.empty();
    auto cell = [&](const std::string &text) { out += "<td>" + escaped(text) + "</td>"; };
    auto right = [&](const std::string &text) { out += "<td class=\"n\">" + escaped(text) + "</td>"; };
    out += "<tr>";
    cell(r.name), cell(r.unit), right(spread_text(r.ours));
    cell(peer ? r.best_peer + " " + number(r.peers.at(r.best_peer).median) : "");
    right(peer ? times(r.ratios.at(r.best_peer)) : "");
    cell(limit ? r.limit_name + " " + number(r.limit.median) : ""),
        right(limit ? times(r.ratios.at(r.limit_name)) : "");
    cell(r.judged ? r.promise : ""), out += "<td>" + verdict(r) + "</td>", right(number(r.pingpong.median));
    right(std::to_string(r.dropped) + ", " + std::to_string(r.kept));
    out += "</tr>\n";
  }
  return out + "</table>\n";
}

// What all rows say of themselves, each once.
std::string told(const std::vector<Row> &rows, std::string Row::*what) {
  std::set<std::string> seen;
  std::string out;
  for (const Row &r : rows)
    if (!(r.*what).empty() && seen.insert(r.*what).second) out += (out.empty() ? "" : "; ") + r.*what;
  return out.empty() ? "not told" : out;
}

std::string summary(const std::vector<Row> &rows) {
  size_t judged = 0, met = 0;
  std::string missed;
  for (const Row &r : rows) {
    judged += r.judged, met += r.met;
    if (r.judged && !r.met)
      missed += "<tr><td>" + escaped(r.name) + "</td><td>" + escaped(r.promise) + "</td><td>" + escaped(said(r)) +
                "ours " + escaped(spread_text(r.ours) + " " + r.unit) + "</td></tr>\n";
  }
  std::string out = "<h2 id=\"targets\">Targets</h2>\n<p>" + std::to_string(rows.size()) + " rows; of " +
                    std::to_string(judged) + " targets " + std::to_string(met) + " met, " +
                    std::to_string(judged - met) + " missed.</p>\n";
  return missed.empty() ? out
                        : out + "<table><tr><th>missed</th><th>target</th><th></th></tr>\n" + missed + "</table>\n";
}

std::string calibration(const std::vector<Row> &rows) {
  std::vector<Spread> all;
  int measured = 0, dropped = 0, kept = 0;
  for (const Row &r : rows) all.push_back(r.pingpong), measured += r.measured, dropped += r.dropped, kept += r.kept;
  std::string counts = measured ? std::to_string(measured) + " measurements, " : "";
  return "<h2 id=\"calibration\">Calibration</h2>\n<p>Two cache lines there and back between the same two processors, "
         "beside each measurement: what the machine was worth at that moment. " +
         counts + std::to_string(dropped) + " disturbed ones made again, " + std::to_string(kept) +
         " kept as they were.</p>\n" + course("calibration", "ns", all);
}

}  // namespace

std::string page(const std::vector<Row> &rows) {
  std::string contents, parts = modules(rows, &contents);
  std::string date = escaped(told(rows, &Row::date));
  std::string out =
      "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\"/>\n<meta name=\"viewport\" content=\"width=device-width\"/>\n"
      "<title>shoal: benchmarks, " +
      date + "</title>\n<style>" + kStyle + "</style>\n</head>\n<body>\n";
  out += "<h1>shoal: benchmarks</h1>\n<p>" + date + "; " + escaped(told(rows, &Row::machine)) + "; " +
         escaped(told(rows, &Row::how)) + ".</p>\n";
  out +=
      "<p>Circles are ours, squares peers, diamonds what the machine itself can do. A mark is the median of all "
      "repetitions, its bar goes from the least to the largest; all axes are logarithmic; behind a unit, &gt; says "
      "that more is better, &lt; that less is. Ratios are taken within a repetition. What the names mean and how it is "
      "measured: bench/README.md; "
      "to repeat it: <code>./bazelw run -c opt //bench:report -- --html FILE</code>.</p>\n";
  out +=
      "<nav><a href=\"#targets\">targets</a> <a href=\"#peers\">beside peers</a> <a href=\"#processes\">by processes"
      "</a> <a href=\"#sizes\">by size</a> <a href=\"#calibration\">calibration</a> <a href=\"#rows\">all rows</a> " +
      contents + "</nav>\n";
  out += summary(rows) + beside_peers(rows) + charts(rows, "processes", "By the number of processes", kProcesses) +
         charts(rows, "sizes", "By the size of a message", kSizes) + calibration(rows) + parts + all_rows(rows);
  return out + "</body>\n</html>\n";
}

}  // namespace bench
