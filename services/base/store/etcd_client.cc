#include "services/base/store/etcd_client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "services/base/status/status_macros.h"
#include "services/base/store/etcd.grpc.pb.h"

namespace portolan::store {
namespace {

// How long one member may take to connect before the next one is tried.
constexpr absl::Duration kConnectPatience = absl::Milliseconds(500);

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  if (path.empty()) return std::string();
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  if (!file || content.str().empty()) {
    return absl::NotFoundError(
        absl::StrCat(path, " cannot be read; it has to be a PEM file that this process may read"));
  }
  return content.str();
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const EtcdOptions& options) {
  if (options.ca_file.empty()) return grpc::InsecureChannelCredentials();
  if (options.cert_file.empty() != options.key_file.empty()) {
    return absl::InvalidArgumentError(
        "a client certificate and its key belong together; give both files or none");
  }
  grpc::SslCredentialsOptions ssl;
  ASSIGN_OR_RETURN(ssl.pem_root_certs, ReadPem(options.ca_file));
  ASSIGN_OR_RETURN(ssl.pem_cert_chain, ReadPem(options.cert_file));
  ASSIGN_OR_RETURN(ssl.pem_private_key, ReadPem(options.key_file));
  return grpc::SslCredentials(ssl);
}

grpc::ChannelArguments Arguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(INT_MAX);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 3000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // Finds out that a member is gone without a word. etcd allows a ping every five seconds.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

// Another member may do better.
bool IsAway(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::FAILED_PRECONDITION:
      return true;
    default:
      return false;
  }
}

absl::Status ToStatus(const std::string& address, const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat("etcd ", address, ": ", status.error_message());
  if (IsAway(status)) return absl::UnavailableError(text);
  return absl::Status(static_cast<absl::StatusCode>(status.error_code()), text);
}

// etcd forgets tokens after a while, and when users change.
bool IsStaleToken(const grpc::Status& status) {
  return status.error_code() == grpc::StatusCode::UNAUTHENTICATED ||
         absl::StrContains(status.error_message(), "revision of auth store is old");
}

}  // namespace

absl::StatusOr<std::unique_ptr<EtcdClient>> EtcdClient::New(EtcdOptions options) {
  if (options.endpoints.empty()) {
    return absl::InvalidArgumentError("there is no endpoint of etcd; configure at least one");
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<grpc::ChannelCredentials> credentials,
                   Credentials(options));
  std::unique_ptr<EtcdClient> client(new EtcdClient(std::move(options)));
  for (const std::string& endpoint : client->options_.endpoints) {
    client->members_.push_back(
        {endpoint, grpc::CreateCustomChannel(endpoint, credentials, Arguments())});
  }
  return client;
}

EtcdClient::~EtcdClient() = default;

absl::StatusOr<etcdserverpb::RangeResponse> EtcdClient::Range(
    const etcdserverpb::RangeRequest& request) {
  etcdserverpb::RangeResponse response;
  RETURN_IF_ERROR(Call(members_.size(), absl::InfiniteDuration(),
                       [&](const auto& channel, grpc::ClientContext& context) {
                         return etcdserverpb::KV::NewStub(channel)->Range(&context, request,
                                                                          &response);
                       }));
  return response;
}

absl::StatusOr<etcdserverpb::TxnResponse> EtcdClient::Txn(const etcdserverpb::TxnRequest& request,
                                                          absl::Duration budget) {
  etcdserverpb::TxnResponse response;
  RETURN_IF_ERROR(Call(1, budget, [&](const auto& channel, grpc::ClientContext& context) {
    return etcdserverpb::KV::NewStub(channel)->Txn(&context, request, &response);
  }));
  return response;
}

absl::StatusOr<EtcdClient::Lease> EtcdClient::Grant(absl::Duration ttl) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(absl::ToInt64Seconds(ttl));
  etcdserverpb::LeaseGrantResponse response;
  RETURN_IF_ERROR(Call(members_.size(), absl::InfiniteDuration(),
                       [&](const auto& channel, grpc::ClientContext& context) {
                         return etcdserverpb::Lease::NewStub(channel)->LeaseGrant(&context, request,
                                                                                  &response);
                       }));
  return Lease{response.id(), absl::Seconds(response.ttl())};
}

absl::StatusOr<absl::Duration> EtcdClient::KeepAlive(int64_t lease, absl::Duration budget) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseKeepAliveResponse response;
  RETURN_IF_ERROR(Call(1, budget, [&](const auto& channel, grpc::ClientContext& context) {
    const auto stub = etcdserverpb::Lease::NewStub(channel);
    const auto stream = stub->LeaseKeepAlive(&context);
    const bool answered = stream->Write(request) && stream->Read(&response);
    if (answered) context.TryCancel();  // one answer is what the stream was for
    const grpc::Status status = stream->Finish();
    return answered ? grpc::Status::OK : status;
  }));
  if (response.ttl() == 0) return absl::NotFoundError("the lease has expired");
  return absl::Seconds(response.ttl());
}

absl::Status EtcdClient::Revoke(int64_t lease) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  etcdserverpb::LeaseRevokeResponse response;
  return Call(members_.size(), absl::InfiniteDuration(),
              [&](const auto& channel, grpc::ClientContext& context) {
                return etcdserverpb::Lease::NewStub(channel)->LeaseRevoke(&context, request,
                                                                          &response);
              });
}

absl::Status EtcdClient::AwaitDeletion(const std::string& key, int64_t revision,
                                       absl::Duration patience) {
  etcdserverpb::WatchRequest request;
  request.mutable_create_request()->set_key(key);
  request.mutable_create_request()->set_start_revision(revision);
  const absl::Time deadline = absl::Now() + patience;
  return CallOnce(deadline, [&](const auto& channel, grpc::ClientContext& context) {
    // Without a leader a member has no news: then let another one say so.
    context.AddMetadata("hasleader", "true");
    const auto stub = etcdserverpb::Watch::NewStub(channel);
    const auto stream = stub->Watch(&context);
    bool deleted = false;
    etcdserverpb::WatchResponse response;
    bool alive = stream->Write(request);
    while (alive && !deleted && (alive = stream->Read(&response))) {
      deleted = response.canceled();  // compacted, for one: somebody has to look
      for (const etcdserverpb::Event& event : response.events()) {
        deleted = deleted || event.type() == etcdserverpb::Event::DELETE;
      }
    }
    if (deleted) context.TryCancel();
    const grpc::Status status = stream->Finish();
    return deleted ? grpc::Status::OK : status;
  });
}

void EtcdClient::Cancel() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = true;
  for (grpc::ClientContext* context : running_) context->TryCancel();
}

void EtcdClient::Restart() {
  absl::MutexLock lock(&mutex_);
  cancelled_ = false;
}

absl::Status EtcdClient::Call(size_t attempts, absl::Duration budget, Attempt attempt) {
  absl::Status status;
  for (size_t i = 0; i < attempts; ++i) {
    const absl::Duration patience = std::min(options_.call_deadline, budget);
    status = CallOnce(absl::Now() + patience, attempt);
    if (!absl::IsUnavailable(status)) return status;
  }
  return status;
}

absl::Status EtcdClient::CallOnce(absl::Time deadline, Attempt attempt) {
  ASSIGN_OR_RETURN(const size_t index, Connect(deadline));
  const Member& member = members_[index];
  grpc::Status status;
  for (int tries = 0; tries < 2; ++tries) {
    ASSIGN_OR_RETURN(const std::string token, Token(member, deadline));
    status = Run(member, deadline, token, attempt);
    if (token.empty() || !IsStaleToken(status)) break;
    absl::MutexLock lock(&mutex_);
    if (token_ == token) token_.clear();
  }
  if (IsAway(status)) TurnFrom(index);
  return ToStatus(member.address, status);
}

absl::StatusOr<size_t> EtcdClient::Connect(absl::Time deadline) {
  for (size_t i = 0; i < members_.size(); ++i) {
    size_t index = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (cancelled_) return absl::CancelledError("the client is closed");
      index = current_;
    }
    const absl::Time patience = std::min(deadline, absl::Now() + kConnectPatience);
    if (members_[index].channel->WaitForConnected(absl::ToChronoTime(patience))) return index;
    TurnFrom(index);
  }
  return absl::UnavailableError(
      absl::StrCat("no member of etcd can be reached (first: ", members_.front().address, ")"));
}

grpc::Status EtcdClient::Run(const Member& member, absl::Time deadline, const std::string& token,
                             Attempt attempt) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(deadline));
  if (!token.empty()) context.AddMetadata("token", token);
  {
    absl::MutexLock lock(&mutex_);
    if (cancelled_) return grpc::Status::CANCELLED;
    running_.insert(&context);
  }
  const absl::Cleanup leave = [this, &context] {
    absl::MutexLock lock(&mutex_);
    running_.erase(&context);
  };
  return attempt(member.channel, context);
}

absl::StatusOr<std::string> EtcdClient::Token(const Member& member, absl::Time deadline) {
  if (options_.user.empty()) return std::string();
  {
    absl::MutexLock lock(&mutex_);
    if (!token_.empty()) return token_;
  }
  etcdserverpb::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(options_.password);
  etcdserverpb::AuthenticateResponse response;
  const grpc::Status status =
      Run(member, deadline, "", [&](const auto& channel, grpc::ClientContext& context) {
        return etcdserverpb::Auth::NewStub(channel)->Authenticate(&context, request, &response);
      });
  if (status.error_code() == grpc::StatusCode::INVALID_ARGUMENT) {
    return absl::UnauthenticatedError(absl::StrCat("etcd ", member.address, " refuses user \"",
                                                   options_.user, "\" (", status.error_message(),
                                                   "); correct user and password"));
  }
  RETURN_IF_ERROR(ToStatus(member.address, status));
  absl::MutexLock lock(&mutex_);
  token_ = response.token();
  return token_;
}

void EtcdClient::TurnFrom(size_t member) {
  absl::MutexLock lock(&mutex_);
  if (current_ == member) current_ = (member + 1) % members_.size();
}

}  // namespace portolan::store
