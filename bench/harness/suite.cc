#include "bench/harness/suite.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace bench {

Spread spread(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  size_t n = values.size();
  double median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {median, values.front(), values.back()};
}

// ---- a row ----

namespace {

// Above 1: ours is better.
double ratio(Better better, double ours, double theirs) {
  double better_one = better == Better::kHigher ? ours : theirs, other = better == Better::kHigher ? theirs : ours;
  return better_one / std::max(other, 1e-9);
}

double ratio(Better better, const std::vector<double> &ours, const std::vector<double> &theirs) {
  std::vector<double> each;
  for (size_t i = 0; i < ours.size(); i++) each.push_back(ratio(better, ours[i], theirs[i]));
  return spread(each).median;
}

bool holds(const Target &t, const Row &row) {
  switch (t.against) {
    case Target::kBestPeer: return row.ratios.at(row.best_peer) >= t.least;
    case Target::kLimit: return row.ratios.at(row.limit_name) >= t.least;
    case Target::kNamed: return row.ratios.at(t.name) >= t.least;
    case Target::kValue: return row.ours.max <= t.least;
  }
  return false;
}

}  // namespace

Row judge(const Case &c, size_t figure, const std::vector<std::vector<double>> &samples) {
  const Figure &f = c.figures[figure];
  Row row;
  row.name = c.name + f.name;
  row.unit = f.unit;
  row.better = f.better;
  row.promise = f.promise;
  size_t ours = 0;
  while (c.contenders.at(ours).role != Role::kOurs) ours++;
  row.ours = spread(samples[ours]);
  for (size_t i = 0; i < c.contenders.size(); i++) {
    const Contender &other = c.contenders[i];
    if (i == ours) continue;
    double r = row.ratios[other.name] = ratio(f.better, samples[ours], samples[i]);
    if (other.role == Role::kLimit) {
      row.limit = spread(samples[i]);
      row.limit_name = other.name;
      continue;
    }
    row.peers[other.name] = spread(samples[i]);
    if (row.best_peer.empty() || r < row.ratios[row.best_peer]) row.best_peer = other.name;
  }
  row.judged = !f.targets.empty();
  row.met =
      row.judged && std::all_of(f.targets.begin(), f.targets.end(), [&](const Target &t) { return holds(t, row); });
  return row;
}

// ---- running ----

namespace {

// What is normal on this machine now: the median of the last calibrations, of those dropped too.
class Normal {
 public:
  void add(double pingpong) {
    last_.push_back(pingpong);
    if (last_.size() > 15) last_.erase(last_.begin());
  }
  bool is(double pingpong) const {
    if (last_.size() < 5) return true;
    double normal = spread(last_).median;
    return pingpong < normal * kCalibrationFactor && pingpong > normal / kCalibrationFactor;
  }

 private:
  std::vector<double> last_;
};

bool disturbed(const Outcome &o, const Normal &normal) { return o.preempted || o.stolen || !normal.is(o.pingpong); }

// Counters of one repetition, by the place of the contender and of the figure.
std::string key(size_t contender, size_t figure) { return std::to_string(contender) + "." + std::to_string(figure); }

class Runner {
 public:
  Runner(const Case &c, double seconds, Normal *normal) : case_(c), seconds_(seconds), normal_(normal) {}

  void repetition(benchmark::State &state) {
    for (auto _ : state) {
      double ours = 0;
      printf("  %-28s %2d ", case_.name.c_str(), ++count_);
      for (size_t i = 0; i < case_.contenders.size(); i++) {
        size_t turn = (i + static_cast<size_t>(count_)) % case_.contenders.size();
        Measurement m = measure(case_.contenders[turn]);
        if (!m.outcome.fault.empty()) {
          state.SkipWithError((case_.contenders[turn].name + ": " + m.outcome.fault).c_str());
          return;
        }
        if (case_.contenders[turn].role == Role::kOurs) ours = m.outcome.seconds;
        note(state, turn, m);
      }
      printf("\n");
      fflush(stdout);
      state.SetIterationTime(ours);
    }
    state.counters["dropped"] = dropped_;
    state.counters["kept"] = kept_;
    dropped_ = kept_ = 0;
  }

 private:
  Measurement measure(const Contender &contender) {
    auto hung = hung_.find(contender.name);
    if (hung != hung_.end()) return hung->second;
    Measurement m = measure_undisturbed(contender);
    if (m.outcome.hung && contender.role == Role::kOurs) m.outcome.fault = "hung";
    if (m.outcome.hung) hung_[contender.name] = m;
    return m;
  }

  Measurement measure_undisturbed(const Contender &contender) {
    Measurement least;
    measured_++;
    for (int i = 1;; i++) {
      Measurement m = contender.measure(seconds_);
      normal_->add(m.outcome.pingpong);
      if (!m.outcome.fault.empty() || m.outcome.hung || !disturbed(m.outcome, *normal_)) return m;
      if (i == 1 || m.outcome.preempted < least.outcome.preempted) least = std::move(m);
      if (i == kTries || dropped_in_all_ > measured_) break;
      dropped_++, dropped_in_all_++;
    }
    kept_++;
    return least;
  }

  void note(benchmark::State &state, size_t turn, const Measurement &m) {
    printf(" | %s", case_.contenders[turn].name.c_str());
    for (size_t f = 0; f < case_.figures.size(); f++) {
      state.counters[key(turn, f)] = m.values.at(f);
      printf(" %.4g", m.values[f]);
    }
    printf(" (pp %.0f)", m.outcome.pingpong);
    state.counters["pingpong." + std::to_string(turn)] = m.outcome.pingpong;
  }

  const Case &case_;
  double seconds_;
  Normal *normal_;
  std::map<std::string, Measurement> hung_;  // is not tried again
  int count_ = 0, measured_ = 0, dropped_in_all_ = 0;
  int dropped_ = 0, kept_ = 0;  // in this repetition
};

}  // namespace

// Google Benchmark hands over all repetitions of a case at once.
class Suite::Reporter : public benchmark::BenchmarkReporter {
 public:
  explicit Reporter(Suite *suite) : suite_(suite) {}
  bool failed = false;

  bool ReportContext(const Context &) override { return true; }

  void ReportRuns(const std::vector<Run> &runs) override {
    if (runs.front().run_type != Run::RT_Iteration) return;  // its aggregates
    const std::string &name = runs.front().run_name.function_name;
    auto c = std::find_if(suite_->cases_.begin(), suite_->cases_.end(), [&](const Case &x) { return x.name == name; });
    if (c == suite_->cases_.end()) throw std::logic_error("no case is named " + name);
    for (const Run &run : runs) {
      if (!run.error_occurred) continue;
      printf("\nWRONG  %s: %s\n", name.c_str(), run.error_message.c_str());
      failed = true;
      return;
    }
    for (size_t f = 0; f < c->figures.size(); f++) suite_->rows_.push_back(row(*c, f, runs));
  }

 private:
  static Row row(const Case &c, size_t figure, const std::vector<Run> &runs) {
    std::vector<std::vector<double>> samples(c.contenders.size());
    std::vector<double> pingpong;
    double dropped = 0, kept = 0;
    for (const Run &run : runs) {
      for (size_t i = 0; i < samples.size(); i++) {
        samples[i].push_back(run.counters.at(key(i, figure)));
        pingpong.push_back(run.counters.at("pingpong." + std::to_string(i)));
      }
      dropped += run.counters.at("dropped");
      kept += run.counters.at("kept");
    }
    Row r = judge(c, figure, samples);
    r.pingpong = spread(pingpong);
    r.repetitions = static_cast<int>(samples.front().size());
    r.measured = r.repetitions * static_cast<int>(samples.size());
    r.dropped = static_cast<int>(dropped);
    r.kept = static_cast<int>(kept);
    return r;
  }

  Suite *suite_;
};

bool Suite::run(const std::string &only) {
  Normal normal;
  std::vector<Runner> runners;
  runners.reserve(cases_.size());  // the benchmarks point at them
  for (const Case &c : cases_) {
    runners.emplace_back(c, c.seconds > 0 ? c.seconds : c.stretch * seconds_ / kRepetitions, &normal);
    benchmark::RegisterBenchmark(c.name.c_str(), [r = &runners.back()](benchmark::State &s) { r->repetition(s); })
        ->Iterations(1)
        ->Repetitions(c.repetitions)
        ->UseManualTime();
  }
  Reporter reporter(this);
  size_t matched = benchmark::RunSpecifiedBenchmarks(&reporter, only.empty() ? "." : only);
  benchmark::ClearRegisteredBenchmarks();
  if (!matched) fprintf(stderr, "bench: no case matches %s\n", only.c_str());
  return matched && !reporter.failed;
}

}  // namespace bench
