#include "services/datapath-loader/core/review.h"

#include "absl/strings/str_cat.h"

namespace portolan::datapath {
namespace {

constexpr char kSettings[] = "/portolan-datapath:datapath/settings";
constexpr char kInterfaces[] = "/portolan-datapath:datapath/interfaces";

std::string InterfacePath(const std::string& name) {
  const char* quote = name.find('\'') == std::string::npos ? "'" : "\"";
  return absl::StrCat(kInterfaces, "/interface[name=", quote, name, quote, "]");
}

void ReviewInterface(const ReviewInput& input, const ReviewedInterface& interface,
                     std::vector<ReviewFinding>& findings) {
  if (interface.may_carry.ok()) return;
  const std::string why(interface.may_carry.message());
  if (absl::IsNotFound(interface.may_carry)) {
    findings.push_back({false, InterfacePath(interface.name), "interface-missing",
                        absl::StrCat("node ", input.node, " has no interface \"", interface.name,
                                     "\", so nothing is carried there until it comes"),
                        "correct the name, or list the nodes that have it under nodes"});
    return;
  }
  findings.push_back({true, InterfacePath(interface.name), "interface-unfit",
                      absl::StrCat("node ", input.node, " cannot carry it so: ", why),
                      "choose mode auto, or list the nodes that can under nodes"});
}

void ReviewSize(const ReviewInput& input, uint64_t proposed, uint64_t in_use, const char* leaf,
                const char* what, std::vector<ReviewFinding>& findings) {
  if (proposed >= in_use) return;
  findings.push_back(
      {true, absl::StrCat(kSettings, "/", leaf), "map-too-small",
       absl::StrCat("node ", input.node, " carries ", in_use, " ", what, ", and ", leaf, " ",
                    proposed, " has no room for ", in_use - proposed, " of them"),
       absl::StrCat("set ", leaf, " to ", in_use, " or more")});
}

}  // namespace

std::vector<ReviewFinding> Review(const ReviewInput& input) {
  std::vector<ReviewFinding> findings;
  if (input.ends || (input.carries_before && !input.names_any)) {
    if (input.in_use.frontends == 0) return findings;
    findings.push_back(
        {false, kInterfaces, "not-carried",
         input.ends ? absl::StrCat("node ", input.node, " would no longer follow changes of the ",
                                   input.in_use.frontends,
                                   " frontends that it carries; what is in the kernel stays")
                    : absl::StrCat("node ", input.node,
                                   " would carry nothing any more: no interface is left for its ",
                                   input.in_use.frontends, " frontends"),
         "keep an interface, or commit on trial (--confirm-within)"});
    if (input.ends) return findings;
  }
  for (const ReviewedInterface& interface : input.interfaces) {
    ReviewInterface(input, interface, findings);
  }
  if (input.proposed == input.configured) return findings;
  ReviewSize(input, input.proposed.frontends, input.in_use.frontends, "max-frontends", "frontends",
             findings);
  ReviewSize(input, input.proposed.backends, input.in_use.backends, "max-backends", "backends",
             findings);
  if (input.proposed != input.loaded) {
    findings.push_back(
        {false, kSettings, "needs-restart",
         absl::StrCat("the sizes of maps change on node ", input.node,
                      " when datapath-loader is started again, not before"),
         "restart datapath-loader: it makes the maps anew with what is in them, flows included"});
  }
  return findings;
}

}  // namespace portolan::datapath
