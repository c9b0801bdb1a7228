#include "services/base/metrics/exporter.h"

#include <CivetServer.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include <exception>
#include <vector>

#include "absl/strings/str_cat.h"
#include "services/base/metrics/families.h"

namespace portolan::metrics {
namespace {

// Why the HTTP server does not start: it says so through a callback, on the thread that starts it.
// What it says first is the cause.
thread_local std::string first_complaint;

int NoteComplaint(const mg_connection*, const char* message) {
  if (first_complaint.empty()) first_complaint = message;
  return 1;  // not to be printed
}

CivetCallbacks Callbacks() {
  CivetCallbacks callbacks;
  callbacks.log_message = NoteComplaint;
  return callbacks;
}

}  // namespace

struct Exporter::State {
  std::string service;
  Loop* loop;
  Collect collect;
};

// One scrape: who has been asked, and what has come.
struct Exporter::Round {
  struct Answer {
    std::string service;
    bool has_come = false;
    absl::Duration delay = absl::ZeroDuration();
  };

  absl::Mutex mutex;
  std::vector<Answer> answers ABSL_GUARDED_BY(mutex);
  size_t missing ABSL_GUARDED_BY(mutex) = 0;
  bool cut_short ABSL_GUARDED_BY(mutex) = false;
  Page page ABSL_GUARDED_BY(mutex);
};

// What prometheus-cpp asks, on its own threads.
class Exporter::Collector : public prometheus::Collectable {
 public:
  explicit Collector(Exporter* exporter) : exporter_(exporter) {}
  std::vector<prometheus::MetricFamily> Collect() const override {
    return std::move(exporter_->Scrape().families_->list);
  }

 private:
  Exporter* const exporter_;
};

struct Exporter::Server {
  // Throws what prometheus-cpp throws.
  Server(Exporter* exporter, const std::string& place, const CivetCallbacks& callbacks)
      : collector(std::make_shared<Collector>(exporter)), exposer(place, 2, &callbacks) {
    exposer.RegisterCollectable(collector);
  }

  const std::shared_ptr<prometheus::Collectable> collector;
  prometheus::Exposer exposer;
};

Exporter::Source::~Source() {
  absl::MutexLock lock(&exporter_->mutex_);
  exporter_->sources_.remove(state_);
}

Exporter::Exporter(const Clock* clock) : clock_(clock) {}
Exporter::~Exporter() { Close(); }

std::unique_ptr<Exporter::Source> Exporter::Add(std::string service, Loop* loop, Collect collect) {
  auto state = std::make_shared<const State>(State{std::move(service), loop, std::move(collect)});
  absl::MutexLock lock(&mutex_);
  sources_.push_back(state);
  return std::unique_ptr<Source>(new Source(this, std::move(state)));
}

absl::StatusOr<int> Exporter::Listen(const std::string& address, int port) {
  Close();
  const std::string place = absl::StrCat(address, ":", port);
  {
    absl::MutexLock lock(&mutex_);
    closed_ = false;
  }
  first_complaint.clear();
  try {
    server_ = std::make_unique<Server>(this, place, Callbacks());
    return server_->exposer.GetListeningPorts().front();
  } catch (const std::exception& error) {
    server_.reset();
    return absl::FailedPreconditionError(
        absl::StrCat(place, ": ", first_complaint.empty() ? error.what() : first_complaint));
  }
}

void Exporter::Close() {
  if (server_ == nullptr) return;
  {
    absl::MutexLock lock(&mutex_);
    closed_ = true;
    for (const std::weak_ptr<Round>& weak : rounds_) {
      const std::shared_ptr<Round> round = weak.lock();
      if (round == nullptr) continue;
      absl::MutexLock round_lock(&round->mutex);
      round->cut_short = true;
    }
  }
  server_.reset();
}

std::shared_ptr<Exporter::Round> Exporter::Ask() {
  auto round = std::make_shared<Round>();
  absl::MutexLock lock(&mutex_);
  rounds_.remove_if([](const std::weak_ptr<Round>& other) { return other.expired(); });
  rounds_.push_back(round);
  for (const std::shared_ptr<const State>& source : sources_) {
    if (source->loop != nullptr) {
      AskOnLoop(round, source);
      continue;
    }
    absl::MutexLock round_lock(&round->mutex);
    source->collect(round->page);
  }
  absl::MutexLock round_lock(&round->mutex);
  round->cut_short = closed_;
  return round;
}

void Exporter::AskOnLoop(const std::shared_ptr<Round>& round,
                         const std::shared_ptr<const State>& source) {
  size_t place = 0;
  {
    absl::MutexLock lock(&round->mutex);
    place = round->answers.size();
    round->answers.push_back({source->service});
    ++round->missing;
  }
  source->loop->Post([round, place, clock = clock_, asked = clock_->Now(),
                      weak = std::weak_ptr<const State>(source)] {
    Page page;
    const absl::Duration delay = clock->Now() - asked;
    const std::shared_ptr<const State> asked_source = weak.lock();
    if (asked_source != nullptr) asked_source->collect(page);
    absl::MutexLock lock(&round->mutex);
    round->answers[place].has_come = asked_source != nullptr;
    round->answers[place].delay = delay;
    round->page.Merge(std::move(page));
    --round->missing;
  });
}

Page Exporter::Scrape() {
  const std::shared_ptr<Round> round = Ask();
  absl::MutexLock lock(&round->mutex);
  const auto is_over = [&round]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(round->mutex) {
    return round->missing == 0 || round->cut_short;
  };
  round->mutex.AwaitWithTimeout(absl::Condition(&is_over), kPatience);
  Page page = std::exchange(round->page, Page());
  for (const Round::Answer& answer : round->answers) {
    const Labels labels = {{"service", answer.service}};
    page.AddGauge("portolan_loop_answers",
                  "1: the loop that owns the service's state answered this scrape in time.", labels,
                  answer.has_come ? 1 : 0);
    if (!answer.has_come) continue;
    page.AddGauge("portolan_loop_delay_seconds", "How long this scrape waited for the loop.",
                  labels, absl::ToDoubleSeconds(answer.delay));
  }
  return page;
}

}  // namespace portolan::metrics
