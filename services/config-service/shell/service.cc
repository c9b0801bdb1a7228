#include "services/config-service/shell/service.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "services/base/status/status_macros.h"
#include "services/config-service/shell/convert.h"
#include "services/config-service/shell/problems.h"

namespace portolan::config {
namespace {

// An edit waits for ipam-service no longer than this.
constexpr absl::Duration kPlanDeadline = absl::Seconds(5);

yang::Format FromProto(v1alpha1::Format format) {
  if (format == v1alpha1::FORMAT_JSON) return yang::Format::kJson;
  return format == v1alpha1::FORMAT_XML ? yang::Format::kXml : yang::Format::kGuess;
}

}  // namespace

ConfigService::ConfigService(const process::Context& context, Options options,
                             std::shared_ptr<const Model> model, std::unique_ptr<Files> files)
    : context_(context),
      options_(std::move(options)),
      model_(std::move(model)),
      files_(std::move(files)),
      publisher_(context.hub),
      rpc_({.on_get =
                [this](const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply) {
                  PostToLoop([this, request, reply] { OnGet(request, reply); });
                },
            .on_edit =
                [this](const v1alpha1::EditRequest& request, bool dry_run,
                       ConfigRpc::EditReply reply) {
                  PostToLoop([this, request, dry_run, reply] { OnEdit(request, dry_run, reply); });
                }}),
      journal_(files_.get(), context.state_dir),
      running_(model_->Empty().tree),
      worker_(std::make_unique<Worker>()) {}

ConfigService::~ConfigService() {
  planner_.reset();
  worker_.reset();
}

void ConfigService::PostToLoop(std::function<void()> callback) {
  context_.loop->Post([alive = std::weak_ptr<bool>(alive_), callback = std::move(callback)] {
    if (alive.lock() != nullptr) callback();
  });
}

// ---- start ----

absl::StatusOr<bool> ConfigService::Restore() {
  ASSIGN_OR_RETURN(std::optional<JournalEntry> entry, journal_.Read());
  if (!entry.has_value()) {
    // Nothing was ever configured: the defaults are what runs.
    engine_.Handle(Restored{model_->Empty().snapshot, 0, {}, false}, context_.clock->Now());
    return false;
  }
  Prepared prepared = model_->Replace(entry->configuration, yang::Format::kJson, journal_.path());
  if (!prepared.candidate.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the journal of the running configuration does not fit this Portolan; start the one that "
        "wrote it, or remove the file to begin anew:\n",
        ToText(prepared.problems)));
  }
  running_ = std::move(prepared.candidate->tree);
  running_revision_ = entry->revision;
  loaded_file_ = std::move(entry->loaded_file);
  engine_.Handle(Restored{std::move(prepared.candidate->snapshot), entry->revision,
                          std::move(entry->generations), entry->allow_renumber},
                 context_.clock->Now());
  context_.log->Info("configuration restored",
                     {{"file", journal_.path()}, {"revision", absl::StrCat(running_revision_)}});
  return true;
}

absl::Status ConfigService::LoadFileAtStart(bool restored) {
  Edit edit{.id = ++last_id_, .kind = Edit::Kind::kLoadFile, .source = options_.file};
  Prepared prepared = Prepare(&edit);
  std::vector<Problem> problems = std::move(prepared.problems);
  if (prepared.candidate.has_value() && restored && edit.fingerprint == loaded_file_) {
    context_.log->Info("the file was loaded before; commits since then stand",
                       {{"file", options_.file}});
  } else if (prepared.candidate.has_value()) {
    edit.candidate = std::move(prepared.candidate->tree);
    std::vector<Effect> effects = engine_.Handle(
        EditProposed{edit.id, std::move(prepared.candidate->snapshot)}, context_.clock->Now());
    if (const auto* write = std::get_if<WriteJournal>(&effects.front()); write != nullptr) {
      const absl::Status status = Persist(&edit, *write);
      effects = engine_.Handle(JournalWritten{write->id, std::string(status.message())},
                               context_.clock->Now());
    }
    Answer& answer = std::get<Answer>(effects.back());
    if (answer.problems.empty()) LogWarnings(edit, answer);
    problems = std::move(answer.problems);
  }
  NameSource(edit, &problems);
  if (!problems.empty() && !restored) {
    return absl::InvalidArgumentError(absl::StrCat("the configuration file ", options_.file,
                                                   " is refused, and there is no earlier "
                                                   "configuration to go on with:\n",
                                                   ToText(problems)));
  }
  ReportFile(problems);
  return absl::OkStatus();
}

absl::Status ConfigService::Start(const process::Upstreams& upstreams) {
  planner_ = std::make_unique<Planner>(upstreams.allocation, kPlanDeadline);
  ASSIGN_OR_RETURN(lock_, DirectoryLock::Take(context_.state_dir));
  ASSIGN_OR_RETURN(const bool restored, Restore());
  if (!options_.file.empty()) RETURN_IF_ERROR(LoadFileAtStart(restored));
  Execute(engine_.Handle(Started{}, context_.clock->Now()));
  publisher_.MarkSynced();
  return absl::OkStatus();
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
  auto owned = std::make_unique<Edit>(std::move(edit));
  Edit* const begun = owned.get();
  under_way_.emplace(begun->id, std::move(owned));
  worker_->Run([this, begun] {
    // std::function wants copies; the result is moved out once.
    auto prepared = std::make_shared<Prepared>(Prepare(begun));
    PostToLoop([this, begun, prepared] { OnPrepared(begun, std::move(*prepared)); });
  });
}

Prepared ConfigService::Prepare(Edit* edit) {
  switch (edit->kind) {
    case Edit::Kind::kMerge:
      return model_->Merge(running_, edit->data, edit->format, edit->source);
    case Edit::Kind::kReplace:
      return model_->Replace(edit->data, edit->format, edit->source);
    case Edit::Kind::kDelete:
      return model_->Delete(running_, edit->path);
    case Edit::Kind::kLoadFile:
      break;
  }
  absl::StatusOr<std::string> text = files_->Read(edit->source);
  if (!text.ok()) {
    return {std::nullopt,
            {{.source = edit->source,
              .rule = "file",
              .message = absl::StrCat("cannot be read: ", text.status().message()),
              .remedy = "put the file there, readable by this process"}}};
  }
  edit->data = *std::move(text);
  edit->fingerprint = Fingerprint(edit->data);
  return model_->Replace(edit->data, yang::Format::kGuess, edit->source);
}

void ConfigService::OnPrepared(Edit* edit, Prepared prepared) {
  if (!prepared.candidate.has_value()) {
    return FinishEdit({edit->id, engine_.revision(), std::move(prepared.problems)});
  }
  if (!edit->dry_run) edit->candidate = std::move(prepared.candidate->tree);
  Execute(engine_.Handle(EditProposed{edit->id, std::move(prepared.candidate->snapshot),
                                      edit->dry_run, edit->allow_renumber},
                         context_.clock->Now()));
}

absl::Status ConfigService::Persist(Edit* edit, const WriteJournal& write) {
  JournalEntry entry;
  entry.revision = write.revision;
  entry.generations = write.generations;
  entry.loaded_file = edit->kind == Edit::Kind::kLoadFile ? edit->fingerprint : loaded_file_;
  entry.allow_renumber = write.allow_renumber;
  entry.configuration = edit->candidate->Print(yang::Format::kJson, yang::Defaults::kExplicit);
  RETURN_IF_ERROR(journal_.Write(entry));
  running_ = *std::move(edit->candidate);
  edit->candidate.reset();
  running_revision_ = entry.revision;
  loaded_file_ = std::move(entry.loaded_file);
  return absl::OkStatus();
}

void ConfigService::Execute(std::vector<Effect> effects) {
  for (Effect& effect : effects) {
    if (auto* write = std::get_if<WriteJournal>(&effect); write != nullptr) {
      worker_->Run([this, edit = under_way_.at(write->id).get(), write = std::move(*write)] {
        const absl::Status status = Persist(edit, write);
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
    } else {
      FinishEdit(std::move(std::get<Answer>(effect)));
    }
  }
}

void ConfigService::Ask(const AskPlan& ask) {
  planner_->Ask(ToProto(ask), [this, id = ask.id](Planner::Answer answer) {
    Planned planned{id, {}, std::string(answer.status().message())};
    if (answer.ok()) planned.moves = *std::move(answer);
    PostToLoop([this, planned = std::move(planned)] {
      Execute(engine_.Handle(planned, context_.clock->Now()));
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
  const std::unique_ptr<Edit> edit = std::move(under_way_.extract(answer.id).mapped());
  NameSource(*edit, &answer.problems);
  if (!edit->dry_run) LogEdit(*edit, answer);
  if (edit->kind == Edit::Kind::kLoadFile) ReportFile(answer.problems);
  if (edit->done) edit->done(answer);
  if (edit->dry_run) return;
  committing_ = false;
  Pump();
}

void ConfigService::LogEdit(const Edit& edit, const Answer& answer) {
  if (!answer.problems.empty()) {
    return context_.log->Warning("edit refused",
                                 {{"source", edit.source},
                                  {"problems", absl::StrCat(answer.problems.size())},
                                  {"first", ToText(answer.problems.front())}});
  }
  context_.log->Info("configuration committed", {{"revision", absl::StrCat(answer.revision)},
                                                 {"source", edit.source},
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
  Enqueue({.kind = Edit::Kind::kLoadFile, .source = options_.file});
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

// ---- RPCs ----

absl::StatusOr<v1alpha1::GetResponse> ConfigService::Read(
    const v1alpha1::GetRequest& request) const {
  const yang::Format format =
      request.format() == v1alpha1::FORMAT_XML ? yang::Format::kXml : yang::Format::kJson;
  v1alpha1::GetResponse response;
  response.set_revision(running_revision_);
  if (request.path().empty()) {
    response.set_data(running_.Print(format, yang::Defaults::kExplicit));
    return response;
  }
  ASSIGN_OR_RETURN(const yang::Tree selected, running_.Select(request.path()));
  response.set_data(selected.Print(format, yang::Defaults::kExplicit));
  return response;
}

void ConfigService::OnGet(const v1alpha1::GetRequest& request, ConfigRpc::GetReply reply) {
  worker_->Run([this, request, reply] {
    absl::StatusOr<v1alpha1::GetResponse> response = Read(request);
    if (response.ok()) {
      reply->Send(absl::OkStatus(), *std::move(response));
    } else {
      reply->Send(response.status(), {});
    }
  });
}

void ConfigService::OnEdit(const v1alpha1::EditRequest& request, bool dry_run,
                           ConfigRpc::EditReply reply) {
  Edit edit;
  switch (request.operation()) {
    case v1alpha1::EDIT_OPERATION_MERGE:
      edit.kind = Edit::Kind::kMerge;
      break;
    case v1alpha1::EDIT_OPERATION_REPLACE:
      edit.kind = Edit::Kind::kReplace;
      break;
    case v1alpha1::EDIT_OPERATION_DELETE:
      edit.kind = Edit::Kind::kDelete;
      break;
    default:
      return reply->Send(
          absl::InvalidArgumentError("the operation of an edit is MERGE, REPLACE or DELETE"), {});
  }
  edit.dry_run = dry_run;
  edit.allow_renumber = request.allow_renumber();
  edit.data = request.data();
  edit.format = FromProto(request.format());
  edit.path = request.path();
  edit.source = request.source_name();
  edit.done = [reply](const Answer& answer) {
    v1alpha1::EditResponse response;
    response.set_revision(answer.revision);
    for (const Problem& problem : answer.problems) *response.add_problems() = ToProto(problem);
    for (const AddressMove& move : answer.moves) *response.add_moves() = ToProto(move);
    for (const std::string& warning : answer.warnings) response.add_warnings(warning);
    response.set_moves_unknown(answer.moves_unknown);
    reply->Send(absl::OkStatus(), std::move(response));
  };
  Enqueue(std::move(edit));
}

absl::StatusOr<std::unique_ptr<process::Service>> NewConfigService(const process::Context& context,
                                                                   Options options) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Model> model, Model::Create());
  return std::unique_ptr<process::Service>(std::make_unique<ConfigService>(
      context, std::move(options), std::move(model), SystemFiles()));
}

}  // namespace portolan::config
