#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "bench/harness/suite.h"

namespace bench {

namespace {

void append(std::string *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void append(std::string *out, const char *format, ...) {
  char line[512];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  *out += line;
}

std::string number(double v) {
  char text[32];
  snprintf(text, sizeof text, v >= 1000 ? "%.0f" : v >= 100 ? "%.1f" : v >= 1 ? "%.2f" : "%.3f", v);
  return text;
}

std::string show(const Spread &s) { return number(s.median) + " [" + number(s.min) + ".." + number(s.max) + "]"; }

const char *verdict(const Row &r) { return !r.judged ? "-" : r.met ? "met" : "missed"; }

std::string quoted(const std::string &s) {
  std::string out = "\"";
  for (char c : s) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) append(&out, "\\u%04x", c);
    else out += c;
  }
  return out + "\"";
}

std::string number_json(double v) {
  if (!std::isfinite(v)) return "null";
  char text[32];
  snprintf(text, sizeof text, "%.6g", v);
  return text;
}

std::string spread_json(const Spread &s) {
  return "{\"median\": " + number_json(s.median) + ", \"min\": " + number_json(s.min) +
         ", \"max\": " + number_json(s.max) + "}";
}

std::string row_json(const Row &r) {
  std::string out = "  {\"case\": " + quoted(r.name) + ", \"unit\": " + quoted(r.unit) +
                    ", \"better\": " + (r.better == Better::kHigher ? "\"higher\"" : "\"lower\"") +
                    ",\n   \"ours\": " + spread_json(r.ours) + ",\n   \"peers\": {";
  const char *comma = "";
  for (const auto &[name, s] : r.peers) out += comma + quoted(name) + ": " + spread_json(s), comma = ", ";
  out += "},\n   \"best_peer\": " + (r.best_peer.empty() ? "null" : quoted(r.best_peer));
  out += ", \"ratio_best_peer\": " + (r.best_peer.empty() ? "null" : number_json(r.ratios.at(r.best_peer)));
  out += ", \"limit\": " + (r.limit_name.empty() ? "null" : number_json(r.limit.median));
  out += ", \"ratio_limit\": " + (r.limit_name.empty() ? "null" : number_json(r.ratios.at(r.limit_name)));
  if (!r.limit_name.empty())
    out += ", \"limit_name\": " + quoted(r.limit_name) + ", \"limit_spread\": " + spread_json(r.limit);
  out += ",\n   \"target\": " + (r.judged ? quoted(r.promise) : "null");
  out += std::string(", \"ok\": ") + (!r.judged ? "null" : r.met ? "true" : "false");
  append(&out, ",\n   \"pingpong_ns\": %.0f, \"repetitions\": %d, \"dropped\": %d, \"kept_disturbed\": %d",
         r.pingpong.median, r.repetitions, r.dropped, r.kept);
  append(&out, ", \"measured\": %d, \"pingpong\": ", r.measured);
  out += spread_json(r.pingpong) + ",\n   \"machine\": " + quoted(r.machine) + ", \"date\": " + quoted(r.date);
  return out + ", \"how\": " + quoted(r.how) + "}";
}

}  // namespace

std::string table(const std::vector<Row> &rows) {
  std::string out;
  int missed = 0;
  for (const Row &r : rows) {
    append(&out, "\n%-32s %-8s %-32s", r.name.c_str(), r.unit.c_str(), show(r.ours).c_str());
    if (!r.best_peer.empty()) append(&out, " %.2f x %s", r.ratios.at(r.best_peer), r.best_peer.c_str());
    if (!r.limit_name.empty()) append(&out, ", %.2f of %s", r.ratios.at(r.limit_name), r.limit_name.c_str());
    if (r.judged) append(&out, "; target %s: %s", r.promise.c_str(), verdict(r));
    for (const auto &[name, s] : r.peers) append(&out, "\n%32s          %-32s %s", "", show(s).c_str(), name.c_str());
    if (!r.limit_name.empty())
      append(&out, "\n%32s          %-32s = %s", "", show(r.limit).c_str(), r.limit_name.c_str());
    append(&out, "\n%32s          %-32s calibration, ns; %d measurements, %d dropped, %d disturbed ones kept\n", "",
           show(r.pingpong).c_str(), r.measured, r.dropped, r.kept);
    missed += r.judged && !r.met;
  }
  append(&out, "\n%zu rows; %d targets missed\n", rows.size(), missed);
  return out;
}

std::string json(const std::vector<Row> &rows) {
  std::string out = "[\n";
  for (size_t i = 0; i < rows.size(); i++) out += row_json(rows[i]) + (i + 1 < rows.size() ? ",\n" : "\n");
  return out + "]\n";
}

}  // namespace bench
