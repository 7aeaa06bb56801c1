#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>

#include "bench/harness/suite.h"

namespace bench {

namespace {

// A value of JSON. What is asked for and is not there, or is of another kind, is nothing: "", 0, no members.
struct Value {
  enum { kNull, kBool, kNumber, kString, kArray, kObject } kind = kNull;
  double number = 0;  // a bool's, too
  std::string text;
  std::vector<Value> items;
  std::map<std::string, Value> members;

  const Value &operator[](const std::string &name) const {
    static const Value nothing;
    auto found = members.find(name);
    return found == members.end() ? nothing : found->second;
  }
};

class Parser {
 public:
  explicit Parser(const std::string &text) : text_(text) {}
  Value whole() {
    Value v = value(0);
    if (next() != '\0' || at_ != text_.size()) fail();
    return v;
  }

 private:
  static constexpr int kDepth = 16;

  [[noreturn]] void fail() const { throw std::runtime_error("no JSON at byte " + std::to_string(at_)); }
  char next() {
    at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size());
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (next() != c) return false;
    at_++;
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail();
  }

  template <class Item>
  void each(char open, char close, Item item) {
    expect(open);
    if (take(close)) return;
    do item();
    while (take(','));
    expect(close);
  }

  Value value(int depth) {
    if (depth > kDepth) fail();
    Value v;
    switch (next()) {
      case '{':
        v.kind = Value::kObject;
        each('{', '}', [&] {
          std::string name = string();
          expect(':');
          v.members[name] = value(depth + 1);
        });
        return v;
      case '[':
        v.kind = Value::kArray;
        each('[', ']', [&] { v.items.push_back(value(depth + 1)); });
        return v;
      case '"': v.kind = Value::kString, v.text = string(); return v;
      case 't': return word("true", Value::kBool, 1);
      case 'f': return word("false", Value::kBool, 0);
      case 'n': return word("null", Value::kNull, 0);
      default: return numeral();
    }
  }

  Value word(const std::string &expected, decltype(Value::kind) kind, double number) {
    if (text_.compare(at_, expected.size(), expected) != 0) fail();
    at_ += expected.size();
    Value v;
    v.kind = kind, v.number = number;
    return v;
  }
  Value numeral() {
    const char *from = text_.c_str() + at_;
    char *end;
    Value v;
    v.kind = Value::kNumber, v.number = strtod(from, &end);
    if (end == from || !(*from == '-' || (*from >= '0' && *from <= '9'))) fail();
    at_ += static_cast<size_t>(end - from);
    return v;
  }
  std::string string() {
    expect('"');
    std::string out;
    for (; at_ < text_.size() && text_[at_] != '"'; at_++) {
      if (text_[at_] != '\\') {
        out += text_[at_];
        continue;
      }
      if (++at_ == text_.size()) break;
      if (text_[at_] != 'u') out += text_[at_];                             // of ours, a quote or a backslash
      else out += ' ', at_ += std::min<size_t>(4, text_.size() - 1 - at_);  // a control character
    }
    if (at_ == text_.size()) fail();
    at_++;
    return out;
  }

  const std::string &text_;
  size_t at_ = 0;
};

Spread spread_of(const Value &v) { return {v["median"].number, v["min"].number, v["max"].number}; }

Row row_of(const Value &v) {
  Row r;
  r.name = v["case"].text;
  if (r.name.empty() || v["ours"].kind != Value::kObject) throw std::runtime_error("no row of a report");
  r.unit = v["unit"].text;
  r.better = v["better"].text == "higher" ? Better::kHigher : Better::kLower;
  r.promise = v["target"].text;
  r.judged = v["ok"].kind == Value::kBool, r.met = r.judged && v["ok"].number != 0;
  r.ours = spread_of(v["ours"]);
  for (const auto &[name, s] : v["peers"].members) r.peers[name] = spread_of(s);
  r.best_peer = v["best_peer"].text;
  if (!r.best_peer.empty()) r.ratios[r.best_peer] = v["ratio_best_peer"].number;
  if (v["limit"].kind == Value::kNumber) {
    r.limit_name = v["limit_name"].kind == Value::kString ? v["limit_name"].text : "limit";
    r.ratios[r.limit_name] = v["ratio_limit"].number;
    double limit = v["limit"].number;
    r.limit = v["limit_spread"].kind == Value::kObject ? spread_of(v["limit_spread"]) : Spread{limit, limit, limit};
  }
  double pingpong = v["pingpong_ns"].number;
  r.pingpong = v["pingpong"].kind == Value::kObject ? spread_of(v["pingpong"]) : Spread{pingpong, pingpong, pingpong};
  r.repetitions = static_cast<int>(v["repetitions"].number), r.measured = static_cast<int>(v["measured"].number);
  r.dropped = static_cast<int>(v["dropped"].number), r.kept = static_cast<int>(v["kept_disturbed"].number);
  r.machine = v["machine"].text, r.date = v["date"].text, r.how = v["how"].text;
  return r;
}

}  // namespace

std::vector<Row> rows_of(const std::string &json) {
  Value all = Parser(json).whole();
  if (all.kind != Value::kArray) throw std::runtime_error("no rows of a report");
  std::vector<Row> rows;
  for (const Value &v : all.items) rows.push_back(row_of(v));
  return rows;
}

}  // namespace bench
