// portolan: runs the load balancer, asks it and edits its configuration.

#include "services/base/process/main.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "services/config-service/shell/plugin_modules.h"
#include "services/standalone/standalone.h"
#include "tools/portolan/commands.h"
#include "tools/portolan/exit_code.h"

namespace portolan::cli {
namespace {

class CommandLine {
 public:
  CommandLine()
      : app_("Portolan: addresses for Services, told to the network, carried to backends") {
    app_.require_subcommand(1);
    app_.add_option("--socket", places_,
                    "socket of a running portolan, or a directory of sockets; may be repeated")
        ->envname("PORTOLAN_SOCKET")
        ->capture_default_str();
    AddRun();
    AddGet();
    AddExplain();
    AddPlan();
    AddConfig();
    AddDatapath();
    AddBgp();
    AddTrace();
  }

  int Main(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error) == 0 ? kOk : kUsage;
    }
    return action_();
  }

 private:
  void AddRun() {
    CLI::App* run = app_.add_subcommand("run", "run all services in this process");
    options_.node = process::HostName();
    run->add_option("--config", options_.config_file, "YANG instance data, JSON or XML");
    options_.yang_dir = config::kYangDir;
    AddYangDir(run);
    run->add_option("--node", options_.node, "this machine's name in the configuration")
        ->capture_default_str();
    run->add_option("--run-dir", options_.run_dir, "directory of the socket")
        ->capture_default_str();
    run->add_option("--state-dir", options_.state_dir, "directory of durable state")
        ->capture_default_str();
    run->add_option("--join", options_.join,
                    "run only l2, bgp and datapath here, for the portolan whose socket this is; "
                    "several where ipam-service has a standby, repeated or with commas")
        ->delimiter(',');
    run->callback([this] { action_ = [this] { return standalone::Run(options_); }; });
  }

  void AddOutput(CLI::App* command) {
    command->add_option("-o,--output", output_, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
  }

  void AddGet() {
    CLI::App* get = app_.add_subcommand("get", "list what there is");
    get->require_subcommand(1);
    const auto add = [&](const std::string& name, const std::string& what,
                         int (*command)(const Places&, Output)) {
      CLI::App* sub = get->add_subcommand(name, what);
      AddOutput(sub);
      sub->callback(
          [this, command] { action_ = [this, command] { return command(places_, Format()); }; });
    };
    add("services", "Services, their addresses and who announces them", GetServices);
    add("pools", "address pools and how full they are", GetPools);
    CLI::App* addresses = get->add_subcommand("addresses", "addresses in use and who has them");
    addresses->add_option("--pool", argument_, "only those of this pool");
    AddOutput(addresses);
    addresses->callback(
        [this] { action_ = [this] { return GetAddresses(places_, argument_, Format()); }; });
    add("peers", "BGP peers and their sessions", GetPeers);
    add("frontends", "what each node carries, with its counters", GetFrontends);
    add("backends", "where each node sends it, with its counters", GetBackends);
    add("drops", "what each node has dropped, by Service and reason", GetDrops);
    add("announcements", "addresses on the LAN and routes at peers", GetAnnouncements);
    add("problems", "whatever is not in force, why, and what to do", GetProblems);
  }

  void AddExplain() {
    CLI::App* explain = app_.add_subcommand("explain", "tell why something is as it is");
    explain->require_subcommand(1);
    CLI::App* service =
        explain->add_subcommand("service", "one Service's way through the pipeline");
    service->add_option("NAME", argument_, "NAMESPACE/NAME, or NAME if only one has it")
        ->required();
    AddOutput(service);
    service->callback(
        [this] { action_ = [this] { return ExplainService(places_, argument_, Format()); }; });
  }

  void AddPlan() {
    CLI::App* plan = app_.add_subcommand(
        "plan", "list the Services that would lose or change an address by an edit");
    CLI::Option* file = plan->add_option("FILE", argument_, "as for `config apply`");
    plan->add_flag("--replace", replace_, "as the whole configuration")->needs(file);
    plan->add_option("--delete", path_, "a removal instead: XPath, as for `config delete`")
        ->excludes(file);
    AddOutput(plan);
    plan->callback([this, file] {
      if (file->empty() && path_.empty()) throw CLI::RequiredError("FILE or --delete");
      action_ = [this] {
        return path_.empty() ? PlanApply(places_, argument_, replace_, Format())
                             : PlanDelete(places_, path_, Format());
      };
    });
  }

  void AddSelection(CLI::App* command) {
    command->add_option("--service", selection_.service, "NAMESPACE/NAME");
    command->add_option("--backend", selection_.backend, "its address");
    command->add_option("--client", selection_.client, "its address, or a prefix");
  }

  void AddDatapath() {
    CLI::App* datapath = app_.add_subcommand("datapath", "ask a node's datapath, and act on it");
    datapath->require_subcommand(1);
    CLI::App* flows = datapath->add_subcommand("flows", "list flows; as JSON for import");
    AddSelection(flows);
    AddOutput(flows);
    flows->callback(
        [this] { action_ = [this] { return DatapathFlows(places_, selection_, Format()); }; });

    CLI::App* flush = datapath->add_subcommand("flush", "forget flows; they start anew");
    AddSelection(flush);
    flush->callback([this] { action_ = [this] { return DatapathFlush(places_, selection_); }; });

    CLI::App* take_over = datapath->add_subcommand("import", "take flows over from another node");
    take_over->add_option("FILE", argument_, "of `datapath flows -o json`; - for standard input")
        ->required();
    take_over->callback(
        [this] { action_ = [this] { return DatapathImport(places_, argument_); }; });

    CLI::App* capabilities =
        datapath->add_subcommand("capabilities", "what this kernel can, and why it matters");
    AddOutput(capabilities);
    capabilities->callback(
        [this] { action_ = [this] { return DatapathCapabilities(places_, Format()); }; });
    AddSimulate(datapath);
    AddOrders(datapath);
    AddChain(datapath);

    CLI::App* upgrade = datapath->add_subcommand(
        "upgrade", "test the programs of the running binary and put them on the interfaces");
    CLI::Option* tc = upgrade->add_option("--tc", tc_file_, "another tc program, an ELF object");
    upgrade->add_option("--xdp", xdp_file_, "and the xdp program that belongs to it")->needs(tc);
    upgrade->callback(
        [this] { action_ = [this] { return DatapathUpgrade(places_, tc_file_, xdp_file_); }; });
  }

  void AddBgp() {
    CLI::App* bgp = app_.add_subcommand("bgp", "act on a node's BGP sessions");
    bgp->require_subcommand(1);
    CLI::App* reset = bgp->add_subcommand("reset", "begin the session with a peer anew");
    reset->add_option("PEER", argument_, "INSTANCE/NAME, or NAME if only one has it")->required();
    CLI::Option* soft =
        reset->add_flag("--soft", soft_, "instead: send it all routes again; the session stays");
    reset->add_option("--message", message_, "for the peer's operator, 255 octets at most")
        ->excludes(soft);
    reset->callback(
        [this] { action_ = [this] { return BgpReset(places_, argument_, soft_, message_); }; });

    CLI::App* drain = bgp->add_subcommand(
        "drain", "mark this node's routes as going away, then withdraw them, until undrain");
    drain->add_option("--hold-time", hold_time_s_, "seconds before they are withdrawn")
        ->check(CLI::Range(0, 86400))
        ->capture_default_str();
    drain->callback([this] { action_ = [this] { return BgpDrain(places_, hold_time_s_); }; });

    CLI::App* undrain = bgp->add_subcommand("undrain", "advertise this node's routes again");
    undrain->callback([this] { action_ = [this] { return BgpUndrain(places_); }; });
  }

  void AddOrders(CLI::App* datapath) {
    CLI::App* attach = datapath->add_subcommand(
        "attach", "carry the datapath on an interface, whatever the configuration says of it");
    attach->add_option("INTERFACE", path_)->required();
    attach->add_option("--mode", mode_, "auto, xdp or tc; configured: as the configuration says")
        ->check(CLI::IsMember({"auto", "xdp", "tc", "configured"}))
        ->capture_default_str();
    attach->add_flag("--inside", inside_, "what comes in there is from the inside");
    attach->callback(
        [this] { action_ = [this] { return DatapathAttach(places_, path_, mode_, inside_); }; });

    CLI::App* detach = datapath->add_subcommand(
        "detach", "take the datapath off an interface, whatever the configuration says of it");
    detach->add_option("INTERFACE", path_)->required();
    detach->callback([this] { action_ = [this] { return DatapathDetach(places_, path_); }; });

    CLI::App* apply = datapath->add_subcommand(
        "apply", "make the Services of an owner what a file says; beside the configuration's");
    apply->add_option("FILE", argument_, "JSON of ApplyRequest; - for standard input")->required();
    AddOutput(apply);
    apply->callback(
        [this] { action_ = [this] { return DatapathApply(places_, argument_, Format()); }; });
  }

  void AddChain(CLI::App* datapath) {
    CLI::App* chain = datapath->add_subcommand(
        "chain", "other XDP programs before (0 to 2) and behind (4 to 7) the datapath's own");
    chain->require_subcommand(1);
    CLI::App* list = chain->add_subcommand("list", "which slots are filled");
    AddOutput(list);
    list->callback([this] { action_ = [this] { return DatapathChain(places_, Format()); }; });

    CLI::App* set = chain->add_subcommand("set", "put a pinned XDP program into a slot");
    set->add_option("SLOT", slot_)->required();
    set->add_option("PROGRAM", path_, "where it is pinned, below /sys/fs/bpf")->required();
    set->callback(
        [this] { action_ = [this] { return DatapathSetChainSlot(places_, slot_, path_); }; });

    CLI::App* clear = chain->add_subcommand("clear", "take out what is in a slot");
    clear->add_option("SLOT", slot_)->required();
    clear->callback(
        [this] { action_ = [this] { return DatapathSetChainSlot(places_, slot_, ""); }; });
  }

  void AddSimulate(CLI::App* datapath) {
    CLI::App* simulate = datapath->add_subcommand(
        "simulate", "what would be done with a packet, and why; nothing changes");
    simulate->add_option("--interface", path_, "where it comes in")->required();
    simulate->add_option("--program", program_, "xdp or tc")
        ->check(CLI::IsMember({"xdp", "tc"}))
        ->capture_default_str();
    simulate->add_option("PACKET", argument_, "the frame in hexadecimal; - for standard input")
        ->required();
    AddOutput(simulate);
    simulate->callback([this] {
      action_ = [this] { return DatapathSimulate(places_, path_, program_, argument_, Format()); };
    });
  }

  void AddTrace() {
    CLI::App* trace = app_.add_subcommand("trace", "print single packets as they pass a node");
    CLI::Option* service =
        trace->add_option("--service", trace_.service, "all packets of this one, NAMESPACE/NAME");
    trace
        ->add_option("--drops", trace_.drop_sample,
                     "instead: what is dropped, one packet in so many")
        ->check(CLI::PositiveNumber)
        ->excludes(service);
    trace->add_option("--count", trace_.count, "end after so many lines");
    AddOutput(trace);
    trace->callback([this] {
      if (trace_.service.empty() && trace_.drop_sample == 0) {
        throw CLI::RequiredError("--service or --drops");
      }
      action_ = [this] { return Trace(places_, trace_, Format()); };
    });
  }

  void AddYangDir(CLI::App* command) {
    command->add_option("--yang-dir", options_.yang_dir, "YANG modules of plugins")
        ->capture_default_str();
  }

  void AddEditOptions(CLI::App* edit) {
    edit->add_flag("--dry-run", edit_.dry_run, "only say what would be refused");
    edit->add_flag("--allow-renumber", edit_.allow_renumber,
                   "even when Services lose or change addresses; see `portolan plan`");
    edit->add_flag("--take-over", edit_.take_over,
                   "even entries that others wrote; see `portolan config owners`");
    edit->add_option("--comment", edit_.comment, "why, for the history");
    edit->add_option("--confirm-within", edit_.confirm_within_s,
                     "seconds; taken back unless it is confirmed by then")
        ->check(CLI::Range(1, 7 * 24 * 3600));
    edit->add_option("--persist-id", edit_.persist_id,
                     "word that is needed to confirm, extend or cancel");
  }

  void AddConfig() {
    CLI::App* config = app_.add_subcommand("config", "check, show and edit the configuration");
    config->require_subcommand(1);
    CLI::App* check = config->add_subcommand("check", "validate a file; nothing needs to run");
    check->add_option("FILE", argument_)->required();
    AddYangDir(check);
    check->callback(
        [this] { action_ = [this] { return ConfigCheck(argument_, options_.yang_dir); }; });

    CLI::App* show = config->add_subcommand("show", "print the running configuration");
    show->add_option("PATH", argument_, "XPath of a part");
    show->add_flag("--xml", xml_, "XML instead of JSON");
    show->add_flag("--secrets", secrets_, "passwords, too, which are left out otherwise");
    show->add_flag("--state", state_, "what the services report, instead of the configuration");
    show->callback([this] {
      action_ = [this] { return ConfigShow(places_, argument_, xml_, secrets_, state_); };
    });

    CLI::App* owners = config->add_subcommand("owners", "list who wrote which entry, and has it");
    AddOutput(owners);
    owners->callback([this] { action_ = [this] { return ConfigOwners(places_, Format()); }; });

    CLI::App* apply =
        config->add_subcommand("apply", "merge a file into the running configuration");
    apply->add_option("FILE", argument_, "JSON or XML; - for standard input")->required();
    apply->add_flag("--replace", replace_, "replace the whole configuration instead");
    AddEditOptions(apply);
    apply->callback(
        [this] { action_ = [this] { return ConfigApply(places_, argument_, replace_, edit_); }; });

    CLI::App* remove = config->add_subcommand("delete", "remove a part of the configuration");
    remove->add_option("PATH", argument_, "XPath, e.g. /portolan-ipam:ipam/pools/pool[name='a']")
        ->required();
    AddEditOptions(remove);
    remove->callback(
        [this] { action_ = [this] { return ConfigDelete(places_, argument_, edit_); }; });

    CLI::App* edit = config->add_subcommand("edit", "edit the running configuration in an editor");
    AddEditOptions(edit);
    edit->callback([this] { action_ = [this] { return ConfigEdit(places_, edit_); }; });
    AddDiff(config);
    AddHistory(config);
  }

  void AddDiff(CLI::App* config) {
    CLI::App* diff = config->add_subcommand("diff", "show what apply would change");
    diff->add_option("FILE", argument_, "JSON or XML; - for standard input")->required();
    diff->add_flag("--replace", replace_, "as apply --replace");
    diff->add_flag("--allow-renumber", edit_.allow_renumber, "as apply --allow-renumber");
    diff->add_flag("--take-over", edit_.take_over, "as apply --take-over");
    diff->callback(
        [this] { action_ = [this] { return ConfigDiff(places_, argument_, replace_, edit_); }; });
  }

  void AddHistory(CLI::App* config) {
    CLI::App* history = config->add_subcommand("history", "list commits, or show one");
    history->add_option("REVISION", revision_, "show what this one changed");
    AddOutput(history);
    history->callback(
        [this] { action_ = [this] { return ConfigHistory(places_, revision_, Format()); }; });

    CLI::App* watch = config->add_subcommand("watch", "print commits as they are made");
    watch->add_option("PATH", argument_, "XPath; only what changes below it");
    watch->add_option("--count", count_, "ends after so many commits");
    AddOutput(watch);
    watch->callback(
        [this] { action_ = [this] { return ConfigWatch(places_, argument_, count_, Format()); }; });

    CLI::App* rollback =
        config->add_subcommand("rollback", "bring an earlier configuration back, as a new commit");
    rollback->add_option("REVISION", revision_, "see history")
        ->required()
        ->check(CLI::PositiveNumber);
    AddEditOptions(rollback);
    rollback->callback(
        [this] { action_ = [this] { return ConfigRollback(places_, revision_, edit_); }; });

    const auto add = [&](const std::string& name, const std::string& what,
                         int (*command)(const Places&, const std::string&, const std::string&)) {
      CLI::App* sub = config->add_subcommand(name, what);
      sub->add_option("--persist-id", edit_.persist_id, "as given to apply");
      sub->add_option("--comment", edit_.comment, "why, for the history");
      sub->callback([this, command] {
        action_ = [this, command] { return command(places_, edit_.persist_id, edit_.comment); };
      });
    };
    add("confirm", "keep what was applied with --confirm-within", ConfigConfirm);
    add("cancel", "take back what was applied with --confirm-within", ConfigCancel);
  }

  Output Format() const { return output_ == "json" ? Output::kJson : Output::kTable; }

  CLI::App app_;
  uint64_t count_ = 0;
  Places places_ = {"/run/portolan"};
  std::string output_ = "table";
  std::string argument_;
  bool xml_ = false;
  bool secrets_ = false;
  bool state_ = false;
  bool replace_ = false;
  std::string path_;
  EditOptions edit_;
  FlowSelection selection_;
  TraceOptions trace_;
  std::string program_ = "tc";
  std::string mode_ = "auto";
  uint32_t slot_ = 0;
  bool inside_ = false;
  bool soft_ = false;
  std::string message_;
  uint32_t hold_time_s_ = 60;
  std::string tc_file_;
  std::string xdp_file_;
  uint64_t revision_ = 0;
  standalone::Options options_;
  std::function<int()> action_;
};

}  // namespace
}  // namespace portolan::cli

int main(int argc, char** argv) { return portolan::cli::CommandLine().Main(argc, argv); }
