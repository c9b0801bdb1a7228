// Control's calls that change what is carried: Attach, Detach, Apply, and the chain beside it.
#include <utility>

#include "absl/strings/str_cat.h"
#include "services/datapath-loader/shell/control.h"

namespace portolan::datapath {
namespace {

template <typename Response>
void AddSlots(const std::vector<ChainSlot>& slots, Response& response) {
  for (const ChainSlot& slot : slots) {
    v1alpha1::ChainSlot* entry = response.add_slots();
    entry->set_slot(slot.slot);
    entry->set_program(slot.program);
    entry->set_name(slot.name);
  }
}

constexpr char kNotRead[] =
    "what was attached and applied before is not read yet; see the status of the node";

}  // namespace

void Control::Begin(std::unique_ptr<Journal> journal, Journal::Kept kept) {
  // A std::function must be copyable.
  loop_->Post([this, journal = std::make_shared<std::unique_ptr<Journal>>(std::move(journal)),
               kept = std::move(kept)] {
    journal_ = std::move(*journal);
    applied_.emplace(loop_.get(), clock_, journal_.get(), node_, hooks_.on_applied);
    applied_->Begin(kept.owners);
  });
}

void Control::Said(ServiceStatus status) {
  loop_->Post([this, status = std::move(status)] {
    if (applied_.has_value()) applied_->Said(status);
  });
}

void Control::Handle(v1alpha1::ApplyRequest request, ReplyTo<v1alpha1::ApplyResponse> reply) {
  loop_->Post([this, request = std::move(request), reply = std::move(reply)] {
    if (!applied_.has_value()) return reply->Send(absl::UnavailableError(kNotRead), {});
    applied_->Apply(request, reply);
  });
}

void Control::Order(const std::string& name, std::optional<InterfaceOrder> order, OnOrdered done) {
  absl::Status status = IsLoaded();
  if (status.ok() && journal_ == nullptr) status = absl::UnavailableError(kNotRead);
  if (!status.ok()) return done(status);
  hooks_.on_order(name, std::move(order),
                  [this, name, done = std::move(done)](absl::StatusOr<OrderOutcome> outcome) {
                    loop_->Post([this, name, done, outcome = std::move(outcome)] {
                      if (!outcome.ok()) return done(outcome);
                      const absl::Status kept = Keep(name, *outcome);
                      done(kept.ok() ? outcome : kept);
                    });
                  });
}

absl::Status Control::Keep(const std::string& name, const OrderOutcome& outcome) {
  const absl::Status status = outcome.order.has_value()
                                  ? journal_->PutInterface(name, *outcome.order)
                                  : journal_->EraseInterface(name);
  if (status.ok()) return status;
  return absl::Status(
      status.code(),
      absl::StrCat("it is in force, and will not be after a restart: ",
                   std::string(status.message()), "; repeat the call when that is mended"));
}

void Control::Handle(v1alpha1::AttachRequest request, ReplyTo<v1alpha1::AttachResponse> reply) {
  loop_->Post([this, request = std::move(request), reply = std::move(reply)] {
    std::optional<InterfaceOrder> order;
    if (request.mode() != "configured") {
      order = {.mode = request.mode().empty() ? "auto" : request.mode(),
               .inside = request.inside()};
      if (order->mode != "auto" && order->mode != "xdp" && order->mode != "tc") {
        return reply->Send(
            absl::InvalidArgumentError(absl::StrCat(
                "mode: \"", request.mode(), "\" is none; there are auto, xdp, tc and configured")),
            {});
      }
    }
    Order(request.interface(), std::move(order), [reply](absl::StatusOr<OrderOutcome> outcome) {
      v1alpha1::AttachResponse response;
      if (outcome.ok()) {
        response.set_mode(outcome->mode);
        response.set_message(outcome->message);
        response.set_configured(outcome->configured);
      }
      reply->Send(outcome.status(), std::move(response));
    });
  });
}

void Control::Handle(v1alpha1::DetachRequest request, ReplyTo<v1alpha1::DetachResponse> reply) {
  loop_->Post([this, request = std::move(request), reply = std::move(reply)] {
    Order(request.interface(), InterfaceOrder{.detached = true},
          [reply](absl::StatusOr<OrderOutcome> outcome) {
            v1alpha1::DetachResponse response;
            if (outcome.ok()) {
              response.set_detached(outcome->was_attached);
              response.set_configured(outcome->configured);
            }
            reply->Send(outcome.status(), std::move(response));
          });
  });
}

void Control::Handle(v1alpha1::ListChainRequest, ReplyTo<v1alpha1::ListChainResponse> reply) {
  loop_->Post([this, reply = std::move(reply)] {
    const absl::Status status = IsLoaded();
    if (!status.ok()) return reply->Send(status, {});
    hooks_.on_chain(std::nullopt, [this, reply](absl::StatusOr<std::vector<ChainSlot>> slots) {
      v1alpha1::ListChainResponse response;
      if (slots.ok()) AddSlots(*slots, response);
      response.set_map(chain_pin_);
      reply->Send(slots.status(), std::move(response));
    });
  });
}

void Control::Handle(v1alpha1::SetChainSlotRequest request,
                     ReplyTo<v1alpha1::SetChainSlotResponse> reply) {
  loop_->Post([this, request = std::move(request), reply = std::move(reply)] {
    const absl::Status status = IsLoaded();
    if (!status.ok()) return reply->Send(status, {});
    hooks_.on_chain(ChainChange{.slot = request.slot(), .path = request.program()},
                    [reply](absl::StatusOr<std::vector<ChainSlot>> slots) {
                      v1alpha1::SetChainSlotResponse response;
                      if (slots.ok()) AddSlots(*slots, response);
                      reply->Send(slots.status(), std::move(response));
                    });
  });
}

}  // namespace portolan::datapath
