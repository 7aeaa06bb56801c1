// bench/harness/suite.h: cases, how they are run, and the rows that come out.
//
// A case asks one question of several contenders: ours, the peers, and a limit (the least that this machine needs for
// such work). Each repetition runs them all, one after the other, beginning with another one each time. A measurement
// that was visibly disturbed is made again, whoever's it was:
//   - the calibration beside it was off by more than kCalibrationFactor from the median of the last ones, or
//   - a lane that had its processor for itself was preempted in spite of that, or
//   - the hypervisor took time from our processors.
// After kTries, or when more has been dropped than measured, the least preempted one is taken, never the best one; both
// are counted in the report. Ratios are taken within a repetition, then their median: a machine that changes its pace
// in between (a hypervisor moves virtual processors about) changes both sides.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "bench/harness/lanes.h"

namespace bench {

constexpr int kRepetitions = 21;
constexpr int kTries = 5;
constexpr double kCalibrationFactor = 1.75;

enum class Better { kHigher, kLower };
enum class Role { kOurs, kPeer, kLimit };

struct Measurement {
  std::vector<double> values;  // one for each figure of the case
  Outcome outcome;
};

struct Contender {
  std::string name;
  Role role;
  std::function<Measurement(double seconds)> measure;
};

// What must hold: the ratio to somebody is at least `least` (above 1: ours is better), or ours is never above it
// (kValue).
struct Target {
  enum Against { kBestPeer, kLimit, kNamed, kValue } against;
  double least;
  std::string name = {};  // of the contender, for kNamed
};

struct Figure {
  std::string name;  // appended to the case's: "/p50", or nothing
  std::string unit;
  Better better;
  std::string promise = {};  // the targets, in words
  std::vector<Target> targets = {};
};

struct Case {
  std::string name;
  std::vector<Figure> figures;
  std::vector<Contender> contenders;
  int repetitions = kRepetitions;
  double seconds = 0;  // a fixed length for each measurement, if not 0
  double stretch = 1;  // a multiple of the usual length
};

struct Spread {
  double median = 0, min = 0, max = 0;
};
Spread spread(std::vector<double> values);

struct Row {
  std::string name, unit, promise;
  Better better = Better::kHigher;
  Spread ours;
  std::map<std::string, Spread> peers;
  Spread limit;
  std::map<std::string, double> ratios;  // of ours to each contender; above 1: ours is better
  std::string best_peer, limit_name;     // empty: there is none
  bool judged = false, met = false;
  Spread pingpong;  // ns
  int repetitions = 0, measured = 0, dropped = 0, kept = 0;
  std::string machine, date, how;  // where, when, how long it was measured; empty: not told
};

// The figure's row, from each contender's samples.
Row judge(const Case &c, size_t figure, const std::vector<std::vector<double>> &samples);

class Suite {
 public:
  explicit Suite(double seconds) : seconds_(seconds) {}
  void add(Case c) { cases_.push_back(std::move(c)); }

  // Runs the cases whose names match; false: something was wrong with a result or with the harness.
  bool run(const std::string &only);
  const std::vector<Row> &rows() const { return rows_; }

 private:
  class Reporter;
  double seconds_;
  std::vector<Case> cases_;
  std::vector<Row> rows_;
};

std::string table(const std::vector<Row> &rows);
std::string json(const std::vector<Row> &rows);
// What json() has written. Throws where it is something else.
std::vector<Row> rows_of(const std::string &json);
// A page of them, whole by itself: XML, its plots inline, no scripts.
std::string page(const std::vector<Row> &rows);

}  // namespace bench
