#include "services/config-service/shell/service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/answer_slot.h"
#include "services/config-service/shell/convert.h"
#include "services/config-service/shell/edit_convert.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

Problem LockedBy(uint64_t session) {
  return {
      .rule = "locked",
      .message = absl::StrCat("NETCONF session ", session, " has locked the running configuration"),
      .remedy = "wait until it unlocks, or end that session"};
}

uint32_t NearlyFullPercent(const yang::Tree& running) {
  uint32_t percent = 0;
  const yang::Node ipam = running.Top("portolan-ipam", "ipam");
  const yang::Node settings = ipam ? ipam.Child("settings") : yang::Node();
  const yang::Node leaf = settings ? settings.Child("nearly-full") : yang::Node();
  return leaf && absl::SimpleAtoi(leaf.value(), &percent) ? percent : ThresholdSet().percent;
}

}  // namespace

ConfigService::ConfigService(const process::Context& context, Options options,
                             std::shared_ptr<const Model> model, std::unique_ptr<Files> files)
    : context_(context),
      options_(std::move(options)),
      files_(std::move(files)),
      publisher_(context.hub),
      watches_([this](ConfigWatches::Job job) {
        ReadLater([job = std::move(job)](const Running& running) {
          job(running.configuration(), running.revision(), running.journal().newest());
        });
      }),
      rpc_({.on_get =
                [this](const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply) {
                  PostToLoop([this, request, reply] { OnGet(request, reply); });
                },
            .on_edit =
                [this](const v1alpha1::EditRequest& request, bool dry_run,
                       ConfigRpc::EditReply reply) {
                  PostToLoop([this, request, dry_run, reply] { OnEdit(request, dry_run, reply); });
                },
            .on_history =
                [this](const v1alpha1::HistoryRequest& request, ConfigRpc::HistoryReply reply) {
                  PostToLoop([this, request, reply] { OnHistory(request, reply); });
                },
            .on_trial =
                [this](const v1alpha1::TrialRequest& request, bool keep,
                       ConfigRpc::EditReply reply) {
                  PostToLoop([this, request, keep, reply] { OnTrial(request, keep, reply); });
                },
            .on_watch =
                [this](const v1alpha1::WatchRequest& request) { return watches_.Begin(request); }}),
      gnmi_(model, BackendOfGnmi(), context.clock),
      gnmi_listeners_(
          &gnmi_, files_.get(),
          [this](const std::string& name, const absl::Status& status, const std::string& place) {
            PostToLoop([this, name, status, place] { ReportGnmi(name, status, place); });
          },
          [this](const std::string& name) {
            PostToLoop([this, name] { ReportGnmi(name, std::nullopt, ""); });
          }),
      startup_(files_.get(), context.state_dir),
      datastores_(model, this, &locks_, &startup_),
      yang_context_(model->context()),
      running_(std::move(model), files_.get(), context.state_dir, context.clock, BootId()),
      worker_(std::make_unique<Worker>()),
      state_worker_(std::make_unique<Worker>()) {}

ConfigService::~ConfigService() {
  context_.loop->Cancel(wake_up_);
  planner_.reset();
  reviewers_.reset();
  state_worker_.reset();
  worker_.reset();
}

void ConfigService::PostToLoop(std::function<void()> callback) {
  context_.loop->Post([alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)] {
    if (alive.lock() != nullptr) callback();
  });
}

void ConfigService::TakeEffect() {
  access_.Load(running_.configuration().rest());
  gnmi_.Apply(running_.configuration());
  gnmi_listeners_.Apply(GnmiSettingsOf(running_.configuration().rest()));
  watches_.Tell();
  events_->SetThreshold(NearlyFullPercent(running_.configuration().rest()));
}

void ConfigService::ReadLater(std::function<void(const Running&)> job) {
  PostToLoop([this, job = std::move(job)] { worker_->Run([this, job] { job(running_); }); });
}

GnmiService::Backend ConfigService::BackendOfGnmi() {
  return {.read =
              [this](bool with_state, GnmiStreams::Job job) {
                if (!with_state) {
                  return ReadLater([job = std::move(job)](const Running& running) {
                    job(running.configuration(), nullptr);
                  });
                }
                PostToLoop([this, job = std::move(job)] {
                  state_worker_->Run([this, job] {
                    const auto state = std::make_shared<const yang::Tree>(operational_->Read());
                    ReadLater([job, state](const Running& running) {
                      job(running.configuration(), state.get());
                    });
                  });
                });
              },
          .commit =
              [this](Edit edit) {
                // std::function wants copies; the edit is moved out once.
                PostToLoop([this, shared = std::make_shared<Edit>(std::move(edit))] {
                  Enqueue(std::move(*shared));
                });
              },
          .after =
              [this](absl::Duration delay, std::function<void()> callback) {
                PostToLoop([this, delay, callback = std::move(callback)] {
                  context_.loop->RunAfter(delay, [alive = std::weak_ptr<bool>(alive_), callback] {
                    if (alive.lock() != nullptr) callback();
                  });
                });
              },
          .access = &access_};
}

void ConfigService::ReportGnmi(const std::string& name, const std::optional<absl::Status>& status,
                               const std::string& place) {
  status::v1alpha1::ObjectStatus object;
  object.set_component("gnmi");
  object.set_node(context_.node);
  object.set_kind("endpoint");
  object.set_key(name);
  if (!status.has_value()) return publisher_.Forget(object);
  if (status->ok()) {
    object.set_state(status::v1alpha1::STATE_READY);
    object.set_reason("listening");
    object.set_message(absl::StrCat("gNMI is served on ", place));
  } else {
    object.set_state(status::v1alpha1::STATE_FAILED);
    object.set_reason("not-listening");
    object.set_message(std::string(status->message()));
    object.set_remedy("change /portolan-system:system/gnmi, or what it names, and commit anything");
    context_.log->Warning("a gNMI endpoint does not listen",
                          {{"endpoint", name}, {"reason", std::string(status->message())}});
  }
  publisher_.Report(object);
}

// ---- edits ----

void ConfigService::Enqueue(Edit edit) {
  edit.id = ++last_id_;
  if (edit.dry_run) return Begin(std::move(edit));
  queue_.push_back(std::move(edit));
  Pump();
}

void ConfigService::Pump() {
  if (committing_ || queue_.empty()) return;
  committing_ = true;
  Edit edit = std::move(queue_.front());
  queue_.pop_front();
  Begin(std::move(edit));
}

void ConfigService::Begin(Edit edit) {
  if (edit.purpose == Purpose::kCancel && engine_.trial().has_value()) {
    edit.kind = Edit::Kind::kRollback;
    edit.revision = engine_.trial()->base_revision;
  }
  const bool forced = edit.purpose == Purpose::kGoBack;
  const uint64_t holder = edit.dry_run ? 0 : locks_.BeginCommit(edit.claim.session, forced);
  auto owned = std::make_unique<Edit>(std::move(edit));
  Edit* const begun = owned.get();
  under_way_.emplace(begun->id, std::move(owned));
  if (holder != 0) {
    return PostToLoop([this, id = begun->id, holder] {
      FinishEdit({id, engine_.revision(), {LockedBy(holder)}});
    });
  }
  worker_->Run([this, begun] {
    // std::function wants copies; the result is moved out once.
    auto prepared = std::make_shared<Prepared>(running_.Prepare(begun));
    PostToLoop([this, begun, prepared] { OnPrepared(begun, std::move(*prepared)); });
  });
}

void ConfigService::OnPrepared(Edit* edit, Prepared prepared) {
  if (!prepared.candidate.has_value()) {
    return FinishEdit({edit->id, engine_.revision(), std::move(prepared.problems)});
  }
  edit->candidate = std::move(prepared.candidate);
  Execute(
      engine_.Handle(EditProposed{edit->id, edit->candidate->snapshot(), edit->dry_run,
                                  edit->allow_renumber, edit->purpose, edit->claim, edit->trial,
                                  edit->trial_revision, edit->base_revision, edit->writer,
                                  edit->touched, edit->take_over, edit->owners_back, edit->remarks},
                     context_.clock->Now()));
}

void ConfigService::Execute(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    if (auto* write = std::get_if<WriteJournal>(&effect); write != nullptr) {
      worker_->Run([this, edit = under_way_.at(write->id).get(), write = std::move(*write)] {
        const absl::Status status = running_.Persist(edit, write);
        TakeEffect();
        PostToLoop([this, id = write.id, error = std::string(status.message())] {
          Execute(engine_.Handle(JournalWritten{id, error}, context_.clock->Now()));
        });
      });
    } else if (const auto* publish = std::get_if<Publish>(&effect); publish != nullptr) {
      publisher_.Apply(publish->changes);
      context_.log->Info("configuration published",
                         {{"revision", absl::StrCat(publish->revision)},
                          {"changes", absl::StrCat(publish->changes.size())}});
    } else if (const auto* ask = std::get_if<AskPlan>(&effect); ask != nullptr) {
      Ask(*ask);
    } else if (const auto* review = std::get_if<AskReview>(&effect); review != nullptr) {
      Ask(*review);
    } else if (const auto* wake = std::get_if<WakeAt>(&effect); wake != nullptr) {
      WakeUpAt(wake->time);
    } else if (const auto* back = std::get_if<GoBack>(&effect); back != nullptr) {
      EndTrial(*back);
    } else {
      FinishEdit(std::move(std::get<Answer>(effect)));
    }
  }
}

void ConfigService::Ask(const AskPlan& ask) {
  planner_->Ask(ToProto(ask), [this, id = ask.id](Planner::Answer answer) {
    Planned planned{id, {}, std::string(answer.status().message())};
    if (answer.ok()) {
      planned.moves = std::move(answer->moves);
      planned.gains = std::move(answer->gains);
    }
    PostToLoop([this, planned = std::move(planned)] {
      Execute(engine_.Handle(planned, context_.clock->Now()));
    });
  });
}

void ConfigService::Ask(const AskReview& ask) {
  reviewers_->Ask(ask, [this](Reviewed reviewed) {
    PostToLoop([this, reviewed = std::move(reviewed)] {
      Execute(engine_.Handle(reviewed, context_.clock->Now()));
    });
  });
}

void ConfigService::NameSource(const Edit& edit, std::vector<Problem>* problems) {
  AddLines(edit.data, edit.source, problems);
  for (Problem& problem : *problems) {
    if (problem.source.empty()) problem.source = edit.source;
  }
}

void ConfigService::FinishEdit(Answer answer) {
  std::unique_ptr<Edit> edit = std::move(under_way_.extract(answer.id).mapped());
  NameSource(*edit, &answer.problems);
  if (!edit->dry_run) LogEdit(*edit, answer);
  if (edit->kind == Edit::Kind::kLoadFile) ReportFile(answer.problems);
  if (!edit->dry_run) locks_.EndCommit(engine_.trial());
  if (!edit->dry_run && answer.problems.empty() && observer_) {
    observer_(*edit, answer, engine_.trial());
  }
  if (edit->done) edit->done(*edit, answer);
  edit->done = nullptr;
  if (!edit->dry_run) {
    committing_ = false;
    Pump();
  }
  // Freeing a tree takes long; the loop has better things to do.
  worker_->Run([edit = std::move(edit)] {});
}

void ConfigService::LogEdit(const Edit& edit, const Answer& answer) {
  if (!answer.problems.empty()) {
    return context_.log->Warning("edit refused",
                                 {{"operation", OperationOf(edit)},
                                  {"source", edit.source},
                                  {"problems", absl::StrCat(answer.problems.size())},
                                  {"first", ToText(answer.problems.front())}});
  }
  context_.log->Info("configuration committed", {{"revision", absl::StrCat(answer.revision)},
                                                 {"operation", OperationOf(edit)},
                                                 {"source", edit.source},
                                                 {"user", edit.author.user},
                                                 {"moves", absl::StrCat(answer.moves.size())}});
  LogWarnings(edit, answer);
}

// Of an edit that is in force.
void ConfigService::LogWarnings(const Edit& edit, const Answer& answer) {
  for (const std::string& warning : answer.warnings) {
    context_.log->Warning("the configuration in force is doubtful",
                          {{"source", edit.source}, {"warning", warning}});
  }
}

void ConfigService::Reload() {
  if (options_.file.empty()) return;
  Enqueue(FileEdit());
}

Edit ConfigService::FileEdit() const {
  Edit edit;
  edit.kind = Edit::Kind::kLoadFile;
  edit.source = options_.file;
  edit.writer = Writer::kFile;
  edit.author.origin = absl::StrCat("file ", options_.file);
  return edit;
}

// ---- trials ----

void ConfigService::WakeUpAt(absl::Time time) {
  context_.loop->Cancel(wake_up_);
  wake_up_ = context_.loop->RunAfter(time - context_.clock->Now(), [this] {
    wake_up_ = 0;
    Execute(engine_.Handle(TimePassed(), context_.clock->Now()));
  });
}

void ConfigService::EndTrial(const GoBack& back) {
  context_.log->Warning("a commit was not confirmed; going back",
                        {{"revision", absl::StrCat(back.trial_revision)},
                         {"to", absl::StrCat(back.base_revision)},
                         {"reason", back.reason}});
  Edit edit;
  edit.kind = Edit::Kind::kRollback;
  edit.purpose = Purpose::kGoBack;
  edit.revision = back.base_revision;
  edit.trial_revision = back.trial_revision;
  edit.author = {"portolan", true, context_.node, back.reason};
  Enqueue(std::move(edit));
}

void ConfigService::ReportFile(const std::vector<Problem>& problems) {
  status::v1alpha1::ObjectStatus status;
  status.set_component("config");
  status.set_kind("configuration");
  status.set_key(options_.file);
  status.set_generation(engine_.revision());
  if (problems.empty()) {
    status.set_state(status::v1alpha1::STATE_READY);
    status.set_reason("loaded");
    status.set_message(absl::StrCat("the configuration file ", options_.file, " is loaded"));
  } else {
    status.set_state(status::v1alpha1::STATE_REJECTED);
    status.set_reason(problems.front().rule);
    status.set_message(absl::StrCat(
        "the configuration file ", options_.file, " is refused; the configuration of revision ",
        engine_.revision(), " stays in force. ", ToText(problems.front())));
    status.set_remedy("correct the file, check it with \"portolan config check\", and reload");
    context_.log->Warning("configuration file refused; the last good configuration stays in force",
                          {{"file", options_.file}, {"problems", ToText(problems)}});
  }
  for (const Problem& problem : problems) {
    status::v1alpha1::Finding* finding = status.add_findings();
    finding->set_subject(
        absl::StrCat(problem.source, problem.path.empty() ? "" : ": ", problem.path));
    finding->set_reason(problem.rule);
    finding->set_message(
        absl::StrCat(problem.message, problem.remedy.empty() ? "" : "; remedy: ", problem.remedy));
  }
  publisher_.Report(status);
}

// ---- for the datastores ----

std::optional<RunningStore::Copy> ConfigService::Read() {
  AnswerSlot<Copy> slot(waiters_);
  worker_->Run([this, giver = slot.NewGiver()] {
    giver->Give({running_.configuration(), running_.revision()});
  });
  return slot.Wait();
}

std::optional<Answer> ConfigService::CommitEdit(Edit edit) {
  AnswerSlot<Answer> slot(waiters_);
  edit.done = [giver = slot.NewGiver()](const Edit&, const Answer& answer) { giver->Give(answer); };
  // std::function wants copies; the edit is moved out once.
  PostToLoop(
      [this, shared = std::make_shared<Edit>(std::move(edit))] { Enqueue(std::move(*shared)); });
  return slot.Wait();
}

void ConfigService::EndSession(uint64_t session) {
  PostToLoop(
      [this, session] { Execute(engine_.Handle(SessionEnded{session}, context_.clock->Now())); });
}

absl::StatusOr<std::shared_ptr<const Model>> LoadModel(const Options& options, const Log& log) {
  std::vector<std::string> problems;
  std::vector<PluginModule> modules = BuiltinModules(options.plugin_modules);
  for (PluginModule& module : ReadPluginModules(options.yang_dir, &problems)) {
    modules.push_back(std::move(module));
  }
  absl::StatusOr<std::shared_ptr<const Model>> model = Model::Create(modules, &problems);
  for (const std::string& problem : problems) {
    log.Warning("a module of a plugin is left out", {{"reason", problem}});
  }
  return model;
}

absl::StatusOr<std::unique_ptr<process::Service>> NewConfigService(const process::Context& context,
                                                                   Options options) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, LoadModel(options, *context.log));
  return std::unique_ptr<process::Service>(std::make_unique<ConfigService>(
      context, std::move(options), std::move(model), SystemFiles()));
}

}  // namespace portolan::config
