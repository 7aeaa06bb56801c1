// bench/harness/plot.h: figures as inline SVG: values with their spread on a logarithmic axis, and lines.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "bench/harness/suite.h"

namespace bench {

// Text as it may stand in XML, between tags and in attributes.
std::string escaped(const std::string &text);
// Three digits or so.
std::string number(double value);

struct Mark {
  std::string label;
  Role role;
  Spread value;
  Spread tail;       // a second value of the same unit, e.g. p99.9 beside p50; zeroes: there is none
  std::string note;  // behind it; by default its median
};

// A mark a line, on one axis: a dot at the median, a bar from the least to the largest. `pivot`, if above 0, is drawn.
std::string dots(const std::string &title, const std::string &unit, const std::vector<Mark> &marks, double pivot = 0);

struct Line {
  std::string label;
  Role role;
  std::vector<std::pair<double, Spread>> points;  // by rising x
};

// Both axes logarithmic; the x of all points are its ticks, by the words of `x_name`.
std::string lines(const std::string &title, const std::string &x_name, const std::string &unit,
                  const std::vector<Line> &all);

// A value for each of a row of measurements, in their order: the medians, and a band from the least to the largest.
std::string course(const std::string &title, const std::string &unit, const std::vector<Spread> &values);

}  // namespace bench
