#include "bench/harness/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <set>

namespace bench {

namespace {

constexpr double kWidth = 860, kLeft = 235, kRight = 680, kLine = 20, kTop = 22;

void append(std::string *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
void append(std::string *out, const char *format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  *out += text;
}

const char *class_of(Role role) { return role == Role::kOurs ? "ours" : role == Role::kLimit ? "limit" : "peer"; }

// A logarithmic axis from pixel `from` to pixel `to`, which may be the smaller one. What is not above 0 lies at its
// beginning.
class Axis {
 public:
  Axis(double from, double to) : from_(from), to_(to) {}
  void add(double v) {
    if (!(v > 0) || !std::isfinite(v)) return;
    low_ = low_ > 0 ? std::min(low_, v) : v;
    high_ = std::max(high_, v);
  }
  void add(const Spread &s) { add(s.median), add(s.min), add(s.max); }
  double at(double v) const {
    if (!(v > low())) return from_;
    return from_ + (to_ - from_) * std::min(1.0, std::log(v / low()) / std::log(high() / low()));
  }
  // 1, 2, 5 of each power of ten; the powers alone where these are many, or some of them.
  std::vector<double> ticks() const {
    std::vector<double> all, powers;
    for (double p = std::pow(10, std::floor(std::log10(low()))); p <= high(); p *= 10)
      for (double step : {1., 2., 5.}) {
        double v = p * step;
        if (v < low() || v > high()) continue;
        all.push_back(v);
        if (step == 1) powers.push_back(v);
      }
    if (all.size() <= 9 || powers.size() < 2) return all;
    std::vector<double> some;  // of very many, every so many
    for (size_t i = 0; i < powers.size(); i += 1 + powers.size() / 9) some.push_back(powers[i]);
    return some;
  }

 private:
  double low() const { return low_ > 0 ? low_ / 1.2 : 0.5; }
  double high() const { return high_ > 0 ? high_ * 1.2 : 2; }
  double from_, to_, low_ = 0, high_ = 0;
};

std::string begin(double height, const std::string &title) {
  std::string out;
  append(&out, "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" xmlns=\"http://www.w3.org/2000/svg\">", kWidth, height);
  return out + "<title>" + escaped(title) + "</title>\n";
}

void text(std::string *out, double x, double y, const char *anchor, const std::string &words, const char *kind = "") {
  append(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, kind);
  *out += escaped(words) + "</text>\n";
}

void stroke(std::string *out, double x1, double y1, double x2, double y2, const char *kind) {
  append(out, "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" class=\"%s\"/>\n", x1, y1, x2, y2, kind);
}

// A tick's number: 20k, 5M.
std::string rounded(double v) {
  const char *unit = "";
  for (const char *next : {"k", "M", "G", "T"})
    if (v >= 9999) v /= 1000, unit = next;
  return number(v) + unit;
}

// A circle is ours, a square a peer's, a diamond a limit's; a hollow one is the tail.
void mark(std::string *out, double x, double y, Role role, bool hollow = false) {
  std::string kind = std::string(class_of(role)) + (hollow ? " hollow" : "");
  if (role == Role::kOurs) append(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\" class=\"%s\"/>\n", x, y, kind.c_str());
  else if (role == Role::kPeer)
    append(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\" class=\"%s\"/>\n", x - 4, y - 4, kind.c_str());
  else append(out, "<path d=\"M%.1f %.1fl6 6l-6 6l-6 -6z\" class=\"%s\"/>\n", x, y - 6, kind.c_str());
}

void scale(std::string *out, const Axis &x, double bottom, const std::string &unit) {
  for (double v : x.ticks()) {
    stroke(out, x.at(v), kTop - 4, x.at(v), bottom, "grid");
    text(out, x.at(v), kTop - 9, "middle", rounded(v), "tick");
  }
  text(out, kWidth - 4, kTop - 9, "end", unit, "tick");
}

// Each x there is a point at, once.
std::set<double> places(const std::vector<Line> &all) {
  std::set<double> x;
  for (const Line &line : all)
    for (const auto &point : line.points) x.insert(point.first);
  return x;
}

// Labels at the lines' ends, apart from each other.
std::vector<double> apart(std::vector<double> wanted, double distance) {
  std::vector<size_t> order(wanted.size());
  for (size_t i = 0; i < order.size(); i++) order[i] = i;
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return wanted[a] < wanted[b]; });
  for (size_t i = 1; i < order.size(); i++)
    wanted[order[i]] = std::max(wanted[order[i]], wanted[order[i - 1]] + distance);
  return wanted;
}

}  // namespace

std::string escaped(const std::string &text) {
  std::string out;
  for (char c : text) {
    if (c == '&') out += "&amp;";
    else if (c == '<') out += "&lt;";
    else if (c == '>') out += "&gt;";
    else if (c == '"') out += "&quot;";
    else if (static_cast<unsigned char>(c) < 0x20) out += ' ';
    else out += c;
  }
  return out;
}

std::string number(double v) {
  char text[32];
  snprintf(text, sizeof text, "%.3g", v);
  if (std::isfinite(v) && std::fabs(v) >= 1000) snprintf(text, sizeof text, "%.0f", v);
  return text;
}

std::string dots(const std::string &title, const std::string &unit, const std::vector<Mark> &marks, double pivot) {
  Axis x(kLeft, kRight);
  for (const Mark &m : marks) x.add(m.value), x.add(m.tail);
  x.add(pivot);
  double bottom = kTop + kLine * static_cast<double>(marks.size());
  std::string out = begin(bottom + 6, title);
  scale(&out, x, bottom, unit);
  if (pivot > 0) stroke(&out, x.at(pivot), kTop - 4, x.at(pivot), bottom, "pivot");
  double y = kTop + kLine / 2;
  for (const Mark &m : marks) {
    text(&out, kLeft - 12, y + 4, "end", m.label, class_of(m.role));
    bool tail = m.tail.median > 0;
    if (tail) stroke(&out, x.at(m.value.median), y, x.at(m.tail.median), y, "way");
    else stroke(&out, x.at(m.value.min), y, x.at(m.value.max), y, class_of(m.role));
    mark(&out, x.at(m.value.median), y, m.role);
    if (tail) mark(&out, x.at(m.tail.median), y, m.role, true);
    std::string note = number(m.value.median) + (tail ? ", " + number(m.tail.median) : "");
    text(&out, kRight + 8, y + 4, "start", m.note.empty() ? note : m.note, class_of(m.role));
    y += kLine;
  }
  return out + "</svg>\n";
}

std::string lines(const std::string &title, const std::string &x_name, const std::string &unit,
                  const std::vector<Line> &all) {
  constexpr double kBottom = 240, kHeight = 285, kFrom = 90, kTo = 600;
  Axis x(kFrom, kTo), y(kBottom, kTop + 14);
  for (const Line &line : all)
    for (const auto &[at, value] : line.points) x.add(at), y.add(value);
  std::string out = begin(std::max(kHeight, kTop + 16. * static_cast<double>(all.size() + 2)), title);
  for (double v : y.ticks()) {
    stroke(&out, kFrom, y.at(v), kTo, y.at(v), "grid");
    text(&out, kFrom - 6, y.at(v) + 4, "end", rounded(v), "tick");
  }
  for (double v : places(all)) text(&out, x.at(v), kBottom + 18, "middle", rounded(v), "tick");
  text(&out, (kFrom + kTo) / 2, kBottom + 36, "middle", x_name, "tick");
  text(&out, 4, kTop - 6, "start", unit, "tick");
  std::vector<double> ends;
  for (const Line &line : all) ends.push_back(y.at(line.points.back().second.median));
  ends = apart(ends, 16);
  for (size_t i = 0; i < all.size(); i++) {
    std::string path;
    for (const auto &[at, value] : all[i].points)
      append(&path, "%s%.1f %.1f", path.empty() ? "M" : "L", x.at(at), y.at(value.median));
    out += "<path d=\"" + path + "\" class=\"course " + class_of(all[i].role) + "\"/>\n";
    for (const auto &[at, value] : all[i].points) {
      stroke(&out, x.at(at), y.at(value.min), x.at(at), y.at(value.max), class_of(all[i].role));
      mark(&out, x.at(at), y.at(value.median), all[i].role);
    }
    double from = x.at(all[i].points.back().first), last = y.at(all[i].points.back().second.median);
    stroke(&out, from + 8, last, kTo + 40, ends[i], "leader");
    text(&out, kTo + 44, ends[i] + 4, "start", all[i].label, class_of(all[i].role));
  }
  return out + "</svg>\n";
}

std::string course(const std::string &title, const std::string &unit, const std::vector<Spread> &values) {
  constexpr double kBottom = 180, kFrom = 90;
  Axis y(kBottom, kTop + 14);
  for (const Spread &s : values) y.add(s);
  std::string out = begin(kBottom + 30, title), there, back, medians;
  for (double v : y.ticks()) {
    stroke(&out, kFrom, y.at(v), kWidth - 20, y.at(v), "grid");
    text(&out, kFrom - 6, y.at(v) + 4, "end", rounded(v), "tick");
  }
  text(&out, 4, kTop - 6, "start", unit, "tick");
  double step = (kWidth - 20 - (kFrom)) / std::max(1.0, static_cast<double>(values.size()) - 1), x = kFrom;
  for (const Spread &s : values) {
    append(&there, "%s%.1f %.1f", there.empty() ? "M" : "L", x, y.at(s.max));
    append(&medians, "%s%.1f %.1f", medians.empty() ? "M" : "L", x, y.at(s.median));
    x += step;
  }
  for (size_t i = values.size(); i-- > 0;) append(&back, "L%.1f %.1f", x -= step, y.at(values[i].min));
  out += "<path class=\"band\" d=\"" + there + back + "z\"/>\n<path class=\"course ours\" d=\"" + medians + "\"/>\n";
  text(&out, kFrom, kBottom + 20, "start", "the first row", "tick");
  text(&out, kWidth - 20, kBottom + 20, "end", "the last", "tick");
  return out + "</svg>\n";
}

}  // namespace bench
