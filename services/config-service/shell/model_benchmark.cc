// What a commit costs at size: N services of five backends each, in a thousand pools.
//   bazel run --config=opt //services/config-service/shell:model_benchmark
#include <benchmark/benchmark.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/config-service/core/diff.h"
#include "services/config-service/core/validate.h"
#include "services/config-service/shell/access.h"
#include "services/config-service/shell/model.h"

namespace portolan::config {
namespace {

std::string Text(int64_t services) {
  std::string text = R"({"portolan-ipam:ipam": {"pools": {"pool": [)";
  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"name": "p)", i,
                    R"(", "blocks": {"block": [{"id": "a", "cidr": "20.)", i / 256, ".", i % 256,
                    R"(.0/24"}]}})");
  }
  absl::StrAppend(&text, R"(]}}, "portolan-service:services": {"service": [)");
  for (int64_t i = 0; i < services; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", R"({"namespace": "default", "name": "s)", i,
                    R"(", "port": [{"name": "http", "port": 80}], "requested-pool": "p)", i % 1000,
                    R"(", "backend": [)");
    for (int b = 0; b < 5; ++b) {
      absl::StrAppend(&text, b == 0 ? "" : ",", R"({"id": "b)", b, R"(", "address": "10.)",
                      i / 256 % 256, ".", i % 256, ".", b + 1, R"("})");
    }
    text += "]}";
  }
  return text + "]}}";
}

Configuration Load(const Model& model, const std::string& text) {
  return *std::move(model.Replace(text, yang::Format::kJson, "").candidate);
}

void InitialLoad(benchmark::State& state) {
  const auto model = Model::Create().value();
  const std::string text = Text(state.range(0));
  for (auto _ : state) {
    const Configuration candidate = Load(*model, text);
    benchmark::DoNotOptimize(Validate(candidate.snapshot()));
    benchmark::DoNotOptimize(Diff(Snapshot(), candidate.snapshot()));
  }
}
BENCHMARK(InitialLoad)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

void OneLeaf(benchmark::State& state) {
  const auto model = Model::Create().value();
  const Configuration running = Load(*model, Text(state.range(0)));
  const std::string edit =
      R"({"portolan-service:services": {"service": [{"namespace": "default", "name": "s7",
          "backend": [{"id": "b1", "weight": 0}]}]}})";
  for (auto _ : state) {
    const Prepared prepared = model->Merge(running, edit, yang::Format::kJson, "");
    benchmark::DoNotOptimize(Validate(prepared.candidate->snapshot()));
    benchmark::DoNotOptimize(Diff(running.snapshot(), prepared.candidate->snapshot()));
  }
}
BENCHMARK(OneLeaf)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

void Print(benchmark::State& state) {
  const auto model = Model::Create().value();
  const Configuration running = Load(*model, Text(state.range(0)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(running.ToJson());
  }
}
BENCHMARK(Print)->Arg(10000)->Unit(benchmark::kMillisecond);

// Of a user with twenty rules about single services.
std::string WithRules(std::string text) {
  std::string rules = R"({"ietf-netconf-acm:nacm": {
      "groups": {"group": [{"name": "g", "user-name": ["ann"]}]},
      "rule-list": [{"name": "l", "group": ["g"], "rule": [)";
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(
        &rules, i == 0 ? "" : ",", R"({"name": "r)", i,
        R"(", "path": "/portolan-service:services/service[namespace='default'][name='s)", i,
        R"(']", "action": "permit"})");
  }
  return text.replace(0, 1, rules + "]}]},");
}

void FilterRead(benchmark::State& state) {
  const auto model = Model::Create().value();
  const Configuration running = Load(*model, WithRules(Text(state.range(0))));
  Access access;
  access.Load(running.rest());
  yang::Tree tree = running.ToTree();
  for (auto _ : state) access.FilterRead({.user = "ann"}, &tree);
}
BENCHMARK(FilterRead)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

void CheckWrite(benchmark::State& state) {
  const auto model = Model::Create().value();
  const Configuration running = Load(*model, WithRules(Text(state.range(0))));
  Access access;
  access.Load(running.rest());
  const yang::Tree before = running.ToTree();
  const Prepared changed =
      model->Delete(running, "/portolan-service:services/service[name='s7']/backend[id='b1']");
  const yang::Tree after = changed.candidate->ToTree();
  for (auto _ : state) {
    benchmark::DoNotOptimize(access.CheckWrite({.user = "ann"}, before, after));
  }
}
BENCHMARK(CheckWrite)->Arg(1000)->Arg(10000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace portolan::config

BENCHMARK_MAIN();
