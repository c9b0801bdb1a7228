#include "services/config-service/shell/netconf/answers.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace portolan::config {
namespace {

using netconf::Element;

void Add(Elements& elements, const char* name, std::string value) {
  if (!value.empty()) elements.push_back({name, std::move(value), {}});
}

void AddPort(Elements& elements, const char* name, uint32_t port) {
  if (port != 0) elements.push_back({name, absl::StrCat(port), {}});
}

std::string TimeText(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

Element ToElement(const ipam::v1alpha1::Considered& considered, int number) {
  Element element{"considered", "", {}};
  Add(element.children, "number", absl::StrCat(number));
  Add(element.children, "pool", considered.pool());
  Add(element.children, "reason", considered.reason());
  Add(element.children, "message", considered.message());
  Add(element.children, "remedy", considered.remedy());
  return element;
}

Element ToElement(const ipam::v1alpha1::SlotExplanation& slot, int number) {
  Element element{"slot", "", {}};
  Elements& children = element.children;
  Add(children, "number", absl::StrCat(number));
  Add(children, "wish", slot.wish());
  Add(children, "address", slot.address());
  Add(children, "outcome", slot.outcome());
  if (slot.since_unix_ms() != 0) {
    Add(children, "since", TimeText(absl::FromUnixMillis(slot.since_unix_ms())));
  }
  for (const std::string& other : slot.shared_with()) Add(children, "shared-with", other);
  for (int i = 0; i < slot.considered_size(); ++i) {
    children.push_back(ToElement(slot.considered(i), i + 1));
  }
  return element;
}

}  // namespace

Elements ToOutput(const ipam::v1alpha1::ExplainResponse& response) {
  Elements output = {{"summary", response.summary(), {}}};
  Add(output, "remedy", response.remedy());
  for (int i = 0; i < response.slots_size(); ++i) {
    output.push_back(ToElement(response.slots(i), i + 1));
  }
  return output;
}

Elements ToOutput(const Datastores::Forecast& forecast) {
  Elements output;
  for (const AddressMove& move : forecast.moves) {
    Element element{"move", "", {{"service", move.service, {}}, {"address", move.address, {}}}};
    Add(element.children, "pool", move.pool);
    Add(element.children, "new-address", move.new_address);
    Add(element.children, "new-pool", move.new_pool);
    Add(element.children, "reason", move.reason);
    Add(element.children, "message", move.message);
    output.push_back(std::move(element));
  }
  for (const AddressGain& gain : forecast.gains) {
    Element element{"gain", "", {{"service", gain.service, {}}, {"address", gain.address, {}}}};
    Add(element.children, "pool", gain.pool);
    output.push_back(std::move(element));
  }
  for (const std::string& warning : forecast.warnings) Add(output, "warning", warning);
  return output;
}

netconf::Element ToElement(const datapath::v1alpha1::Event& event, size_t number) {
  Element element{"event", "", {}};
  Elements& children = element.children;
  Add(children, "number", absl::StrCat(number));
  Add(children, "time", TimeText(absl::FromUnixNanos(event.time_unix_ns())));
  Add(children, "kind", event.kind());
  Add(children, "service", event.service());
  Add(children, "protocol", event.protocol());
  Add(children, "source-address", event.source_address());
  AddPort(children, "source-port", event.source_port());
  Add(children, "destination-address", event.destination_address());
  AddPort(children, "destination-port", event.destination_port());
  Add(children, "backend", event.backend());
  Add(children, "interface", event.interface());
  Add(children, "length", absl::StrCat(event.length()));
  Add(children, "drop", event.drop());
  Add(children, "message", event.drop_message());
  return element;
}

}  // namespace portolan::config
