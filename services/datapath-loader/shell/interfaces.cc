#include "services/datapath-loader/shell/interfaces.h"

#include <unistd.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bpf/include/datapath_maps.h"
#include "services/datapath-loader/shell/host.h"
#include "services/datapath-loader/shell/pins.h"

namespace portolan::datapath {
namespace {

std::string ConfigurationOf(const std::string& name) {
  return absl::StrCat("/portolan-datapath:datapath/interfaces/interface[name='", name, "']");
}

// How to have it wanted no more.
std::string GiveUp(const std::string& name, const WantedInterface& wanted) {
  return wanted.origin == Origin::kAttach ? absl::StrCat("run portolan datapath detach ", name)
                                          : absl::StrCat("remove ", ConfigurationOf(name));
}

InterfaceReport Failed(const std::string& name, std::string reason, std::string message,
                       std::string remedy) {
  return {.name = name,
          .mode = "",
          .origin = Origin::kConfiguration,
          .state = State::kFailed,
          .reason = std::move(reason),
          .message = std::move(message),
          .remedy = std::move(remedy)};
}

}  // namespace

std::vector<InterfaceReport> Interfaces::Reconcile() {
  DropUnwanted();
  std::vector<InterfaceReport> reports;
  for (const auto& [name, wanted] : wanted_) reports.push_back(Carry(name, wanted));
  RemoveForeignPins();
  ForgetOthers();
  return reports;
}

void Interfaces::DropUnwanted() {
  for (auto it = carried_.begin(); it != carried_.end();) {
    auto& [name, carried] = *it;
    const auto wanted = wanted_.find(name);
    const bool same = wanted != wanted_.end() && wanted->second.origin != Origin::kDetach &&
                      InterfaceIndex(name) == carried.ifindex && carried.tc->IsAlive() &&
                      (!carried.xdp.has_value() || carried.xdp->IsAlive());
    if (same) {
      ++it;
      continue;
    }
    if (carried.xdp.has_value()) carried.xdp->Detach().IgnoreError();
    carried.tc->Detach().IgnoreError();
    map_.Remove(carried.ifindex);
    it = carried_.erase(it);
  }
}

// Links of an earlier life for interfaces that are gone, or not wanted (in that mode) any more.
void Interfaces::RemoveForeignPins() const {
  std::set<std::string> ours;
  for (const auto& [name, carried] : carried_) {
    ours.insert(LinkPinPath(directory_, false, carried.ifindex));
    if (carried.xdp.has_value()) ours.insert(LinkPinPath(directory_, true, carried.ifindex));
  }
  for (const LinkPin& pin : ListLinkPins(directory_)) {
    if (!ours.contains(pin.path)) unlink(pin.path.c_str());
  }
}

void Interfaces::ForgetOthers() {
  if (forgot_others_) return;
  forgot_others_ = true;
  std::set<uint32_t> ours;
  for (const auto& [name, carried] : carried_) ours.insert(carried.ifindex);
  map_.RemoveOthers(ours);
}

absl::Status Interfaces::Tell(const std::string& name, uint32_t ifindex) {
  InterfaceEntry entry{.mac = MacAddressOf(name).value_or(net::MacAddress()),
                       .flags = PORTOLAN_INTERFACE_ATTACHED};
  if (wanted_[name].inside) entry.flags |= PORTOLAN_INTERFACE_INTERNAL;
  if (features_.TakesXdpFrames(ifindex)) entry.flags |= PORTOLAN_INTERFACE_TARGET;
  return map_.Put(ifindex, entry);
}

InterfaceReport Interfaces::Carry(const std::string& name, const WantedInterface& wanted) {
  if (wanted.origin == Origin::kDetach) {
    InterfaceReport report =
        Failed(name, "detached",
               absl::StrCat("interface ", name,
                            " was detached by an operator; the configuration says mode ",
                            wanted.configured, ", which does not count meanwhile"),
               absl::StrCat("to follow the configuration again: portolan datapath attach ", name,
                            " --mode configured"));
    report.state = State::kDegraded;
    report.origin = wanted.origin;
    return report;
  }
  InterfaceReport report = CarryAs(name, wanted.mode);
  report.origin = wanted.origin;
  if (wanted.origin == Origin::kAttach) {
    absl::StrAppend(
        &report.message, "; attached by an operator, ",
        wanted.configured.empty()
            ? "the configuration does not name it"
            : absl::StrCat("the mode ", wanted.configured, " of the configuration does not count"));
  }
  return report;
}

InterfaceReport Interfaces::CarryAs(const std::string& name, const std::string& mode) {
  const uint32_t ifindex = InterfaceIndex(name);
  if (ifindex == 0) {
    return Failed(name, "no-interface",
                  absl::StrCat("interface ", name, " does not exist on this node"),
                  absl::StrCat("create it (it is then attached by itself), or ",
                               GiveUp(name, wanted_[name])));
  }
  const auto carried = carried_.find(name);
  if (carried != carried_.end() && carried->second.wanted_mode == mode) {
    Tell(name, ifindex).IgnoreError();  // it was told when it was attached
    return Describe(name, carried->second);
  }
  return Attach(name, mode, ifindex);
}

InterfaceReport Interfaces::Attach(const std::string& name, const std::string& mode,
                                   uint32_t ifindex) {
  if (!MacAddressOf(name).has_value()) {
    return Failed(name, "not-ethernet", absl::StrCat("interface ", name, " is not Ethernet"),
                  absl::StrCat(GiveUp(name, wanted_[name]), "; the programs read Ethernet frames"));
  }
  Carried next{.ifindex = ifindex, .wanted_mode = mode, .tc = {}, .xdp = {}, .why_not_xdp = ""};
  absl::StatusOr<Attachment> tc = Attachment::AttachTc(directory_, ifindex, objects_.tc_program());
  if (!tc.ok()) {
    map_.Remove(ifindex);
    carried_.erase(name);
    return Failed(name, "refused",
                  absl::StrCat("interface ", name, ": ", std::string(tc.status().message())),
                  "see the log of datapath-loader; it is tried again by itself");
  }
  next.tc = *std::move(tc);
  const absl::Status told = Tell(name, ifindex);
  if (mode == "auto" && DriverOf(name) == "veth") {
    next.why_not_xdp = "XDP would copy every packet of a veth";
  } else if (mode != "tc") {
    absl::Status obstacle = told.ok() ? objects_.xdp_error() : told;
    if (obstacle.ok()) obstacle = chain_.SetOurs(objects_.xdp_program());
    const int entry = EntryFor(objects_.xdp_program());
    absl::StatusOr<Attachment> xdp =
        obstacle.ok() ? Attachment::AttachXdp(directory_, ifindex, entry) : obstacle;
    if (xdp.ok()) {
      next.xdp = *std::move(xdp);
    } else if (mode == "xdp") {
      next.tc->Detach().IgnoreError();
      map_.Remove(ifindex);
      carried_.erase(name);
      return Failed(name, "no-xdp",
                    absl::StrCat("interface ", name, ": ", std::string(xdp.status().message())),
                    absl::StrCat("set ", ConfigurationOf(name), "/mode to auto or tc"));
    } else {
      next.why_not_xdp = std::string(xdp.status().message());
    }
  }
  const auto [it, inserted] = carried_.insert_or_assign(name, std::move(next));
  return Describe(name, it->second);
}

InterfaceReport Interfaces::Describe(const std::string& name, const Carried& carried) const {
  InterfaceReport report;
  report.name = name;
  report.state = State::kReady;
  report.reason = "attached";
  const bool tcx = carried.tc->hook() == Attachment::Hook::kTcx;
  const char* tc = tcx ? "tcx" : "clsact (this kernel has no tcx)";
  if (carried.xdp.has_value()) {
    report.mode = "xdp";
    report.message =
        absl::StrCat("native XDP", chain_.NeedsRoot() ? " behind other programs" : "", ", and ", tc,
                     " for what XDP cannot send itself and for packets whose "
                     "checksum is left to the hardware");
  } else {
    report.mode = "tc";
    report.message = tc;
    if (!carried.why_not_xdp.empty()) {
      absl::StrAppend(&report.message, ", because ", carried.why_not_xdp);
    }
  }
  if (HasStrictReversePath(name)) {
    report.state = State::kDegraded;
    report.reason = "strict-reverse-path";
    absl::StrAppend(&report.message, "; the kernel drops answers of backends behind ", name,
                    ", because their source is a service's address");
    report.remedy = absl::StrCat("set net.ipv4.conf.", name,
                                 ".rp_filter (and net.ipv4.conf.all.rp_filter) to 0, or to 2 "
                                 "where there is a default route");
  }
  return report;
}

}  // namespace portolan::datapath
